import { randomUUID } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { Problem } from '../kernel/problem.ts';
import { createIntegrator } from './integrator.ts';
import { createNoteSigner, parseVerifierKey } from './note.ts';
import { recover } from './recovery.ts';
import type { SealerAnswer, SealerData, SealerRequest } from './sealer.ts';

/** Opens the log, then seals it whenever it is told to: hashing and files, away from the thread that serves. */
if (parentPort !== null) {
  const port = parentPort;
  const { directory, origin, key } = workerData as SealerData;
  const answer = (answer: SealerAnswer): void => port.postMessage(answer, []);
  try {
    const signer = createNoteSigner(origin, key);
    const verifier = parseVerifierKey(signer.vkey);
    if (verifier === undefined) throw new TypeError('the signing key has no verifier key');
    const recovered = recover(directory, signer, verifier, randomUUID());
    const integrator = createIntegrator({ directory, signer, verifier, recovered });
    const { state, next, unfinished, last, tornBytes } = recovered;
    const sealed = integrator.seal(next);
    answer({
      kind: 'opened',
      next,
      unfinished,
      tornBytes,
      vkey: state.vkey,
      sealed,
      ...(last !== undefined && { last }),
    });
    port.on('message', (request: SealerRequest) => {
      if (request.kind === 'close') {
        port.close();
        return;
      }
      try {
        integrator.expect(request.leaves);
        answer({ kind: 'sealed', ...integrator.seal(request.upTo) });
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
