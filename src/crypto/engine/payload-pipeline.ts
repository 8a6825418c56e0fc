import { randomBytes } from 'node:crypto';
import {
  CHUNK_BYTES,
  type ChunkFailure,
  checkSalt,
  freePieces,
  openChunks,
  payloadKey,
  problemOf,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunks,
  splitChunks,
} from '../age/payload.ts';
import { createReader } from '../age/reader.ts';
import { createStreamPool, type StreamPool } from './stream-pool.ts';
import { createStreamSegments, type StreamSegments } from './stream-segments.ts';
import type { StreamTask, StreamWork } from './stream-work.ts';

/** How much of a machine a payload may use. */
export interface Parallelism {
  /** Threads; with one, all is done on the calling thread. */
  readonly jobs: number;
  /** Bytes of input from which threads pay for their start. */
  readonly parallelBytesMin: number;
  /** The memory of a piece is used again at the step after the next: for readers that keep no piece. */
  readonly reuse?: boolean;
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
  yield* pipeline({ direction: 'seal', key }, source, parallelism);
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
    yield* pipeline({ direction: 'open', key }, reader.rest(), parallelism);
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
  source: AsyncIterable<Uint8Array>,
  { jobs, parallelBytesMin, reuse = false }: Parallelism,
): AsyncGenerator<Uint8Array> {
  const pieces = source[Symbol.asyncIterator]();
  const segments = createStreamSegments(chunkBytes(work));
  const aloneBytes = jobs === 1 ? Number.POSITIVE_INFINITY : parallelBytesMin;
  let piece: Uint8Array = NOTHING;
  try {
    for (let seen = 0; seen < aloneBytes; ) {
      if (piece.length === 0) {
        const step = await pieces.next();
        if (step.done === true) {
          segments.end();
          yield* runHere(work, segments);
          return;
        }
        piece = step.value;
        seen += piece.length;
      }
      piece = segments.fill(piece);
      // Whatever is there: a slow source must be seen at the other end.
      yield* runHere(work, segments);
    }
    yield* runInThreads(work, { pieces, piece, segments, jobs, reuse });
  } finally {
    // Not awaited: with a read under way, the source answers only when that read does.
    void pieces.return?.()?.catch(() => {});
  }
}

const NOTHING = new Uint8Array();

function chunkBytes({ direction }: StreamWork): number {
  return direction === 'seal' ? CHUNK_BYTES : SEALED_CHUNK_BYTES;
}

function* runHere(work: StreamWork, segments: StreamSegments): Generator<Uint8Array> {
  const task = segments.take(true);
  if (!task) return;
  const { buffer, start, bytes, first, last } = task;
  const chunks = splitChunks(new Uint8Array(buffer, start, bytes), chunkBytes(work));
  const { pieces, failure } =
    work.direction === 'seal'
      ? { pieces: sealChunks(work.key, first, chunks, last) }
      : openChunks(work.key, first, chunks, last);
  const done = { bytes: Buffer.concat(pieces), failure };
  freePieces(pieces);
  segments.recycle(buffer);
  yield* release(done);
}

interface Stream {
  readonly pieces: AsyncIterator<Uint8Array>;
  /** What was read and is not yet in a segment. */
  readonly piece: Uint8Array;
  readonly segments: StreamSegments;
  readonly jobs: number;
  readonly reuse: boolean;
}

async function* runInThreads(
  work: StreamWork,
  { pieces, segments, jobs, reuse, ...stream }: Stream,
): AsyncGenerator<Uint8Array> {
  // Enough that no thread waits for this one, few enough that memory stays flat.
  const inFlightMax = 2 * jobs + 2;
  const pool = createStreamPool(jobs, work);
  const inFlight: Promise<Done>[] = [];
  let { piece } = stream;
  let reading: Promise<IteratorResult<Uint8Array>> | undefined;
  let ended = false;
  let stalled = false;
  let lent: ArrayBuffer | undefined;
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
        if (piece.length > 0) {
          piece = segments.fill(piece);
          continue;
        }
        reading ??= quietly(pieces.next());
        const step = await (oldest ? Promise.race([reading, oldest]) : beforeStall(reading));
        if (step === undefined) {
          stalled = true;
          continue;
        }
        if ('value' in step) {
          reading = undefined;
          ended = step.done === true;
          if (step.done === true) segments.end();
          else piece = step.value;
          continue;
        }
      }
      void inFlight.shift();
      const done = await (oldest as Promise<Done>);
      yield* release(done);
      if (!reuse) continue;
      if (lent) segments.recycle(lent);
      lent = done.bytes.buffer as ArrayBuffer;
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

function* release({ bytes, failure }: Done): Generator<Uint8Array> {
  if (bytes.length > 0) yield bytes;
  if (failure) throw problemOf(failure);
}

/** Its failure is seen when its turn comes; until then it must not count as unhandled. */
function quietly<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
