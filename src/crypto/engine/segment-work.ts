import type { KeyObject } from 'node:crypto';
import type { ChunkFailure } from '../age/payload.ts';
import { type Failed, failedBy } from './failed.ts';
import { createSegmentRunner, fileOf, type PayloadPlan, segmentCount } from './segments.ts';

/** What a thread of the pool is given. */
export interface SegmentWork {
  readonly plan: PayloadPlan;
  readonly key: KeyObject;
  /** Descriptors, which the whole process shares. The pool closes them when no thread is left. */
  readonly input: number;
  readonly output: number;
  /** Shared by all threads: see the places below. */
  readonly control: Int32Array;
}

/** Places in `control`: the segment to be taken next, the first one not to be done, and how many are done. */
const NEXT = 0;
export const LIMIT = 1;
export const DONE = 2;

/** The last thing a thread says. Without it, the thread died. */
export type SegmentReport =
  | { readonly kind: 'done' }
  | { readonly kind: 'bad'; readonly failure: ChunkFailure }
  | { readonly kind: 'failed'; readonly error: Failed };

/**
 * Does segments, one a step, until none is free. They are taken in order, so whoever finds a bad one knows that all before
 * it are done or under way.
 */
export function* doSegments({
  plan,
  key,
  input,
  output,
  control,
}: SegmentWork): Generator<undefined, SegmentReport> {
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
      yield;
    }
  } catch (error) {
    Atomics.store(control, LIMIT, 0);
    return { kind: 'failed', error: failedBy(error) };
  }
}
