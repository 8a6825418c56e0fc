import { parentPort, workerData } from 'node:worker_threads';
import { createCommitter } from './committer.ts';
import { diskFiles } from './files.ts';
import { createHandover, IDLE, TURN } from './handover.ts';
import { createWriterTurns, type WriterData } from './protocol.ts';

/**
 * The one thread that writes the log, with blocking calls: libuv's pool may be full of password hashes. It sleeps on
 * the shared memory itself and has no event loop to go through.
 */
if (parentPort !== null) {
  const port = parentPort;
  const { directory, first, segmentBytes, checkMs, memory } = workerData as WriterData;
  const handover = createHandover(memory);
  const turns = createWriterTurns(
    handover,
    () => createCommitter({ directory, first, files: diskFiles, segmentBytes }),
    (answer) => port.postMessage(answer, []),
  );
  let goesOn = turns.open();
  while (goesOn) {
    const woken = Atomics.wait(handover.control, TURN, IDLE, checkMs);
    goesOn = woken === 'timed-out' ? turns.check() : turns.serve();
  }
}
