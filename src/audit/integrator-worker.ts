import { randomUUID } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { Problem } from '../kernel/problem.ts';
import { createIntegrator } from './integrator.ts';
import { createLogKeys } from './key-overlap.ts';
import { recover } from './recovery.ts';
import type { SealerAnswer, SealerData, SealerRequest } from './sealer.ts';

/** Opens the log, then seals it whenever it is told to: hashing and files, away from the thread that serves. */
if (parentPort !== null) {
  const port = parentPort;
  const { directory, origin, keys: privateKeys, now } = workerData as SealerData;
  const answer = (answer: SealerAnswer): void => port.postMessage(answer, []);
  try {
    const keys = createLogKeys(origin, privateKeys);
    const recovered = recover(directory, keys, randomUUID());
    const integrator = createIntegrator({ directory, keys, recovered });
    const { next, unfinished, last, announced, tornBytes } = recovered;
    const sealed = integrator.seal(next, now);
    const succession = integrator.succession();
    const isAnnounced = announced?.from === succession?.from && announced?.to === succession?.to;
    answer({
      kind: 'opened',
      next,
      unfinished,
      tornBytes,
      sealed,
      ...(last !== undefined && { last }),
      ...(succession !== undefined && {
        keyChange: { ...succession, ...(announced && isAnnounced && { announced: announced.overlapUntil }) },
      }),
    });
    port.on('message', (request: SealerRequest) => {
      if (request.kind === 'close') {
        port.close();
        return;
      }
      try {
        integrator.expect(request.leaves);
        const { overlap, upTo, now } = request;
        const sealed = overlap === undefined ? integrator.seal(upTo, now) : integrator.rotate(overlap, now);
        answer({ kind: 'sealed', ...sealed });
      } catch (error) {
        fail(error);
      }
    });
  } catch (error) {
    fail(error);
    port.close();
  }

  function fail(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    answer({ kind: 'failed', reason, ...(error instanceof Problem && { code: error.code }) });
  }
}
