import { parentPort, workerData } from 'node:worker_threads';
import { failedBy } from './failed.ts';
import { DONE, LIMIT, NEXT, type SegmentReport, type SegmentWork } from './segment-work.ts';
import { createSegmentRunner, fileOf, segmentCount } from './segments.ts';

if (parentPort !== null) parentPort.postMessage(work(workerData as SegmentWork), []);

/** Segments are taken in order, so whoever finds a bad one knows that all before it are done or under way. */
function work({ plan, key, input, output, control }: SegmentWork): SegmentReport {
  const count = segmentCount(plan);
  try {
    const runner = createSegmentRunner({ plan, key, input: fileOf(input), output: fileOf(output) });
    for (;;) {
      const segment = Atomics.add(control, NEXT, 1);
      if (segment >= count || segment >= Atomics.load(control, LIMIT)) return { kind: 'done' };
      const failure = runner.run(segment);
      if (failure) {
        Atomics.store(control, LIMIT, 0);
        return { kind: 'bad', failure };
      }
      Atomics.add(control, DONE, 1);
    }
  } catch (error) {
    Atomics.store(control, LIMIT, 0);
    return { kind: 'failed', error: failedBy(error) };
  }
}
