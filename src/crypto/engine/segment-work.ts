import type { KeyObject } from 'node:crypto';
import type { ChunkFailure } from '../age/payload.ts';
import type { Failed } from './failed.ts';
import type { PayloadPlan } from './segments.ts';

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
export const NEXT = 0;
export const LIMIT = 1;
export const DONE = 2;

/** The last thing a thread says. Without it, the thread died. */
export type SegmentReport =
  | { readonly kind: 'done' }
  | { readonly kind: 'bad'; readonly failure: ChunkFailure }
  | { readonly kind: 'failed'; readonly error: Failed };
