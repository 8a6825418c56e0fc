import { randomBytes } from 'node:crypto';
import {
  BATCH_CHUNKS,
  type Batch,
  CHUNK_BYTES,
  type ChunkFailure,
  checkSalt,
  inChunks,
  openChunks,
  payloadKey,
  problemOf,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunks,
} from '../age/payload.ts';
import { createReader } from '../age/reader.ts';
import { createStreamPool, type StreamPool } from './stream-pool.ts';
import type { StreamTask, StreamWork } from './stream-work.ts';

/** How much of a machine a payload may use. */
export interface Parallelism {
  /** Threads; with one, all is done on the calling thread. */
  readonly jobs: number;
  /** Bytes of input from which threads pay for their start. */
  readonly parallelBytesMin: number;
}

/** `sealPayload` over several threads, in the order of the source. */
export async function* sealPayloadInParallel(
  fileKey: Uint8Array,
  source: AsyncIterable<Uint8Array>,
  parallelism: Parallelism,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(SALT_BYTES);
  const key = payloadKey(fileKey, salt);
  yield salt;
  yield* pipeline({ direction: 'seal', key }, inChunks(source, CHUNK_BYTES), parallelism);
}

/** `openPayload` over several threads: the same order, the same problems, and nothing released before it is verified. */
export async function* openPayloadInParallel(
  fileKey: Uint8Array,
  source: AsyncIterable<Uint8Array>,
  parallelism: Parallelism,
): AsyncGenerator<Uint8Array> {
  const reader = createReader(source);
  try {
    const key = payloadKey(fileKey, checkSalt(await reader.take(SALT_BYTES)));
    yield* pipeline({ direction: 'open', key }, inChunks(reader.rest(), SEALED_CHUNK_BYTES), parallelism);
  } finally {
    await reader.close();
  }
}

const STALL_MS = 20;

interface Done {
  readonly bytes: Uint8Array;
  readonly failure?: ChunkFailure | undefined;
}

/** The first part on this thread, the rest on others if there is a rest worth it. */
async function* pipeline(
  work: StreamWork,
  batches: AsyncGenerator<Batch>,
  { jobs, parallelBytesMin }: Parallelism,
): AsyncGenerator<Uint8Array> {
  let seen = 0;
  let first = 0;
  let ended = false;
  const aloneBytes = jobs === 1 ? Number.POSITIVE_INFINITY : parallelBytesMin;
  try {
    while (!ended && seen < aloneBytes) {
      const step = await batches.next();
      if (step.done === true) return;
      const { chunks, last } = step.value;
      seen += chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      yield* release(runHere(work, first, chunks, last));
      first += chunks.length;
      ended = last;
    }
    if (!ended) yield* runInThreads(work, batches, first, jobs);
  } finally {
    // Not awaited: with a read under way, the source answers only when that read does.
    void batches.return(undefined).catch(() => {});
  }
}

function runHere(
  { direction, key }: StreamWork,
  first: number,
  chunks: Batch['chunks'],
  last: boolean,
): Done {
  if (direction === 'seal') return { bytes: Buffer.concat(sealChunks(key, first, chunks, last)) };
  const { pieces, failure } = openChunks(key, first, chunks, last);
  return { bytes: Buffer.concat(pieces), failure };
}

async function* runInThreads(
  work: StreamWork,
  batches: AsyncGenerator<Batch>,
  first: number,
  jobs: number,
): AsyncGenerator<Uint8Array> {
  // Enough that no thread waits for this one, few enough that memory stays flat.
  const inFlightMax = 2 * jobs + 2;
  const pool = createStreamPool(jobs, work);
  const segments = createSegments(first);
  const inFlight: Promise<Done>[] = [];
  let reading: Promise<IteratorResult<Batch>> | undefined;
  let ended = false;
  let stalled = false;
  try {
    for (;;) {
      const task = segments.take(stalled);
      stalled = false;
      if (task) {
        inFlight.push(quietly(hand(pool, task)));
        continue;
      }
      const [oldest] = inFlight;
      if (ended && !oldest) return;
      if (!ended && inFlight.length < inFlightMax) {
        reading ??= quietly(batches.next());
        const step = await (oldest ? Promise.race([reading, oldest]) : beforeStall(reading));
        if (step === undefined) {
          stalled = true;
          continue;
        }
        if ('value' in step) {
          reading = undefined;
          // Copied at once: the views are valid until the next step.
          ended = step.done === true || segments.add(step.value);
          continue;
        }
      }
      void inFlight.shift();
      yield* release(await (oldest as Promise<Done>));
    }
  } finally {
    await pool.close();
  }
}

/**
 * What is read, or undefined if the source gives nothing for a while: what it gave before must not wait for a segment to
 * be full, or a slow source would never be seen at the other end.
 */
async function beforeStall<T>(reading: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const stall = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, STALL_MS, undefined);
  });
  try {
    return await Promise.race([reading, stall]);
  } finally {
    clearTimeout(timer);
  }
}

async function hand(pool: StreamPool, task: StreamTask): Promise<Done> {
  const { buffer, bytes, failure } = await pool.run(task);
  return { bytes: new Uint8Array(buffer, 0, bytes), failure };
}

interface Segments {
  /** Copies the chunks. Returns whether the last of the payload was among them. */
  add(batch: Batch): boolean;
  /** The oldest segment that is full; with `partial`, also one that is not. */
  take(partial: boolean): StreamTask | undefined;
}

/** Gathers chunks into segments in memory of their own, which threads can be given. */
function createSegments(firstChunk: number): Segments {
  const closed: StreamTask[] = [];
  let first = firstChunk;
  let buffer: ArrayBuffer | undefined;
  let bytes = 0;
  let count = 0;
  const close = (last: boolean): void => {
    if (!buffer) return;
    closed.push({ buffer, bytes, first, last });
    first += count;
    buffer = undefined;
    bytes = 0;
    count = 0;
  };
  return {
    add({ chunks, last }) {
      for (const chunk of chunks) {
        buffer ??= new ArrayBuffer(BATCH_CHUNKS * SEALED_CHUNK_BYTES);
        new Uint8Array(buffer).set(chunk, bytes);
        bytes += chunk.length;
        count++;
        if (count === BATCH_CHUNKS && !last) close(false);
      }
      if (last) close(true);
      return last;
    },
    take(partial) {
      if (partial && closed.length === 0) close(false);
      return closed.shift();
    },
  };
}

function* release({ bytes, failure }: Done): Generator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
  if (failure) throw problemOf(failure);
}

/** Its failure is seen when its turn comes; until then it must not count as unhandled. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
