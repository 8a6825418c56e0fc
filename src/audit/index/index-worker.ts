import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../kernel/clock.ts';
import type { Entry } from '../entry.ts';
import type { WorkerAnswer, WorkerData, WorkerRequest } from './protocol.ts';
import { standBack } from './stand-back.ts';
import { isCorruption, openIndexStore, removeIndex } from './store.ts';

/** Holds the index away from the thread that serves: one request at a time, one answer each. */
if (parentPort !== null) {
  standBack();
  const port = parentPort;
  const { file, origin } = workerData as WorkerData;
  const answer = (message: WorkerAnswer): void => port.postMessage(message, []);
  const open = (): ReturnType<typeof openIndexStore> => openIndexStore({ file, origin, clock: systemClock });
  try {
    let store = open();
    answer({ kind: 'opened', opened: store.opened });
    port.on('message', (request: WorkerRequest) => {
      if (request.kind === 'close') {
        store.close();
        port.close();
        return;
      }
      try {
        answer(serve(request));
      } catch (error) {
        let isCorrupt = isCorruption(error);
        try {
          if (isCorrupt) reset();
        } catch {
          isCorrupt = false;
        }
        answer({ kind: 'failed', reason: (error as Error).message, isCorrupt });
      }
    });

    function serve(request: Exclude<WorkerRequest, { kind: 'close' }>): WorkerAnswer {
      if (request.kind === 'find') return { kind: 'found', found: store.find(request.find) };
      if (request.kind === 'stats') return { kind: 'stats', stats: store.stats(request.stats) };
      if (request.kind === 'reset') reset();
      // After a reset the sender goes on from where the index is.
      else if (request.from === store.applied()) {
        const entries = request.json.flatMap((text) => JSON.parse(text) as Entry[]);
        store.apply({ from: request.from, entries, leaf: request.leaf });
      }
      return { kind: 'applied', applied: store.applied() };
    }

    function reset(): void {
      try {
        store.close();
      } finally {
        removeIndex(file);
      }
      store = open();
    }
  } catch (error) {
    answer({ kind: 'failed', reason: (error as Error).message, isCorrupt: false });
    port.close();
  }
}
