import type { KeyObject } from 'node:crypto';
import type { ChunkFailure } from '../age/payload.ts';

/** What a thread of the stream pool is started with. */
export interface StreamWork {
  readonly direction: 'seal' | 'open';
  readonly key: KeyObject;
}

/** Consecutive chunks to be sealed or opened. */
export interface StreamTask {
  /** Large enough for the sealed form: the result comes back in the same memory. */
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  /** Number of the first chunk. */
  readonly first: number;
  /** The last chunk is the payload's last. */
  readonly last: boolean;
}

export interface StreamResult {
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  readonly failure?: ChunkFailure;
}
