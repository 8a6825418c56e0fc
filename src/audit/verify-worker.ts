import { parentPort, workerData } from 'node:worker_threads';
import { verifyLog } from './verify.ts';

if (parentPort !== null) {
  const { directory, vkeys } = workerData as {
    readonly directory: string;
    readonly vkeys: readonly string[];
  };
  parentPort.postMessage(await verifyLog(directory, vkeys), []);
}
