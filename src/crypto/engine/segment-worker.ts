import { parentPort, workerData } from 'node:worker_threads';
import { doSegments, type SegmentWork } from './segment-work.ts';

/** One thread of `segment-pool.ts`. */
if (parentPort !== null) {
  const segments = doSegments(workerData as SegmentWork);
  let step = segments.next();
  while (step.done !== true) step = segments.next();
  parentPort.postMessage(step.value, []);
}
