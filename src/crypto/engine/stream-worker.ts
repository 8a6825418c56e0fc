import { parentPort, workerData } from 'node:worker_threads';
import { CHUNK_BYTES, freePieces, openChunks, SEALED_CHUNK_BYTES, sealChunks } from '../age/payload.ts';
import type { StreamResult, StreamTask, StreamWork } from './stream-work.ts';

/** One thread of `stream-pool.ts`: answers each task, in order. */
if (parentPort !== null) {
  const port = parentPort;
  const work = workerData as StreamWork;
  port.on('message', (task: StreamTask) => {
    const result = answer(work, task);
    port.postMessage(result, [result.buffer]);
  });
}

/** Chunk by chunk, so that what the cipher gives is copied and free again before the next. */
function answer(
  { direction, key }: StreamWork,
  { buffer, start, bytes, first, last }: StreamTask,
): StreamResult {
  const seals = direction === 'seal';
  const size = seals ? CHUNK_BYTES : SEALED_CHUNK_BYTES;
  const memory = new Uint8Array(buffer);
  let length = 0;
  for (let index = 0, at = 0; index === 0 || at < bytes; index++, at += size) {
    const chunks = [memory.subarray(start + at, start + Math.min(at + size, bytes))];
    const final = last && at + size >= bytes;
    const { pieces, failure } = seals
      ? { pieces: sealChunks(key, first + index, chunks, final) }
      : openChunks(key, first + index, chunks, final);
    for (const piece of pieces) {
      memory.set(piece, length);
      length += piece.length;
    }
    freePieces(pieces);
    if (failure) return { buffer, bytes: length, failure };
  }
  return { buffer, bytes: length };
}
