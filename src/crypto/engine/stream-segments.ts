import { BATCH_CHUNKS, CHUNK_BYTES, SEALED_CHUNK_BYTES } from '../age/payload.ts';
import type { StreamTask } from './stream-work.ts';

/** Cuts a stream into segments of chunks, each in memory of its own, which threads can be given. */
export interface StreamSegments {
  /** Copies from a piece until a segment is complete or the piece ends. Returns the rest of the piece. */
  fill(piece: Uint8Array): Uint8Array;
  /** The stream ended: what is there is the payload's end. */
  end(): void;
  /** The segment that is complete; with `partial`, else the chunks that are and are not the payload's last. */
  take(partial: boolean): StreamTask | undefined;
  /** Takes back memory that a task had. */
  recycle(buffer: ArrayBuffer): void;
}

/** Room between start and chunks: what sealing adds to a segment. */
const START_BYTES = BATCH_CHUNKS * (SEALED_CHUNK_BYTES - CHUNK_BYTES);
const MEMORY_BYTES = START_BYTES + BATCH_CHUNKS * SEALED_CHUNK_BYTES;

/** Chunks of the stream are of `size` bytes. */
export function createStreamSegments(size: number): StreamSegments {
  const fullBytes = BATCH_CHUNKS * size;
  const spare: ArrayBuffer[] = [];
  // Not cleared: each segment overwrites what it uses.
  const allocate = (): ArrayBuffer => spare.pop() ?? Buffer.allocUnsafeSlow(MEMORY_BYTES).buffer;
  let buffer = allocate();
  let bytes = 0;
  let first = 0;
  let complete: StreamTask | undefined;
  const close = (length: number, last: boolean): void => {
    complete = { buffer, start: START_BYTES, bytes: length, first, last };
    const rest = new Uint8Array(buffer, START_BYTES + length, bytes - length);
    first += length / size;
    bytes = rest.length;
    if (last) return;
    buffer = allocate();
    new Uint8Array(buffer, START_BYTES).set(rest);
  };
  return {
    fill(piece) {
      // A full segment is held back until a byte after it is seen: its last chunk may turn out to be the payload's.
      if (bytes === fullBytes && piece.length > 0) {
        close(bytes, false);
        return piece;
      }
      const part = piece.subarray(0, fullBytes - bytes);
      new Uint8Array(buffer, START_BYTES).set(part, bytes);
      bytes += part.length;
      return piece.subarray(part.length);
    },
    end: () => close(bytes, true),
    take(partial) {
      if (!complete && partial && bytes > size) close(Math.floor((bytes - 1) / size) * size, false);
      const task = complete;
      complete = undefined;
      return task;
    },
    recycle: (memory) => void spare.push(memory),
  };
}
