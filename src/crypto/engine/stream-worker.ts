import { parentPort, workerData } from 'node:worker_threads';
import { CHUNK_BYTES, openChunks, SEALED_CHUNK_BYTES, sealChunks, splitChunks } from '../age/payload.ts';
import type { StreamResult, StreamTask, StreamWork } from './stream-work.ts';

/** One thread of `stream-pool.ts`: answers each task, in order. */
if (parentPort !== null) {
  const port = parentPort;
  const { direction, key } = workerData as StreamWork;
  const work = direction === 'seal' ? seal : open;
  port.on('message', (task: StreamTask) => {
    const result = work(task);
    port.postMessage(result, [result.buffer]);
  });

  function seal({ buffer, bytes, first, last }: StreamTask): StreamResult {
    const chunks = splitChunks(new Uint8Array(buffer, 0, bytes), CHUNK_BYTES);
    // What the cipher gives is copied over its input, so all of it must be read before.
    return { buffer, bytes: place(sealChunks(key, first, chunks, last), buffer) };
  }

  function open({ buffer, bytes, first, last }: StreamTask): StreamResult {
    const chunks = splitChunks(new Uint8Array(buffer, 0, bytes), SEALED_CHUNK_BYTES);
    const { pieces, failure } = openChunks(key, first, chunks, last);
    return { buffer, bytes: place(pieces, buffer), ...(failure && { failure }) };
  }
}

/** Returns the length of the pieces together. */
function place(pieces: readonly Uint8Array[], buffer: ArrayBuffer): number {
  const target = new Uint8Array(buffer);
  let at = 0;
  for (const piece of pieces) {
    target.set(piece, at);
    at += piece.length;
  }
  return at;
}
