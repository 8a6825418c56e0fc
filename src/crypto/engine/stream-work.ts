import type { KeyObject } from 'node:crypto';
import type { ChunkFailure } from '../age/payload.ts';

/** What a thread of the stream pool is started with. */
export interface StreamWork {
  readonly direction: 'seal' | 'open';
  readonly key: KeyObject;
}

/** Consecutive chunks to be sealed or opened. */
export interface StreamTask {
  /** The result comes back in the same memory, from its start on. */
  readonly buffer: ArrayBuffer;
  /** Where the chunks are: far enough behind the start that results, which are longer when sealed, do not reach them. */
  readonly start: number;
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
