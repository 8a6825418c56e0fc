import { parentPort, workerData } from 'node:worker_threads';
import { verifyLog } from './verify.ts';

if (parentPort !== null) {
  const { directory, vkey } = workerData as { readonly directory: string; readonly vkey: string };
  parentPort.postMessage(await verifyLog(directory, vkey), []);
}
