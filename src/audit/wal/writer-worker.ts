import { parentPort, workerData } from 'node:worker_threads';
import { createCommitter } from './committer.ts';
import { diskFiles } from './files.ts';
import { serveCommits, type WriterData } from './protocol.ts';

/** The one thread that writes the log, with blocking calls: libuv's pool may be full of password hashes. */
if (parentPort !== null) {
  const port = parentPort;
  const { directory, first, segmentBytes, checkMs } = workerData as WriterData;
  const serve = serveCommits(
    () => createCommitter({ directory, first, files: diskFiles, segmentBytes }),
    (answer) => port.postMessage(answer, []),
  );
  port.on('message', (request) => {
    serve(request);
    if (request.kind === 'close') port.close();
  });
  setInterval(() => serve({ kind: 'check' }), checkMs).unref();
}
