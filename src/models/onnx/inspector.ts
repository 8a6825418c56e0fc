import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import type { Problem } from '../../kernel/problem.ts';
import { modelsProblems } from '../problems.ts';
import type { ModelSignature } from '../version.ts';
import type { Finding } from './inspect.ts';

/** Judges files away from the thread that serves, one at a time. */
export interface Inspector {
  /**
   * Reads the file of `length` bytes as it comes. One that passes has been read to its end, so that a stream which
   * checks itself has done so. Rejects with what the stream throws; with `models.inspection_failed` if the file takes too
   * much time or memory to be judged; with `models.busy` if too many wait already.
   */
  inspect(file: AsyncIterable<Uint8Array>, length: number): Promise<Judgement>;
}

export type Judgement =
  | { readonly verdict: 'block'; readonly findings: readonly Finding[] }
  | { readonly verdict: 'pass'; readonly findings: readonly Finding[]; readonly signature: ModelSignature };

/** What the thread starts with. `bell` holds one number, set to 1 when bytes have been posted. */
export interface InspectionJob {
  readonly length: number;
  readonly bell: SharedArrayBuffer;
}

export type InspectionMessage =
  | { readonly kind: 'read'; readonly offset: number }
  | { readonly kind: 'judged'; readonly judgement: Judgement };

export interface InspectorOptions {
  readonly clock?: Pick<Clock, 'monotonic'>;
  /** For one file, waiting for its bytes left out. The limits of the reader allow some 2 s of one core. */
  readonly computeMsMax?: number;
  /** JavaScript heap of the thread. */
  readonly heapMiBMax?: number;
  readonly waitingMax?: number;
}

/** Each file gets a thread of its own, which ends with it: nothing that one leaves behind can reach the next. */
export function createInspector({
  clock = systemClock,
  computeMsMax = 30_000,
  heapMiBMax = 96,
  waitingMax = 16,
}: InspectorOptions = {}): Inspector {
  // The same extension as this file: .ts from source, .js in dist.
  const entry = new URL(`./inspect-worker${extname(import.meta.url)}`, import.meta.url);
  let waiting = 0;
  let last: Promise<unknown> = Promise.resolve();

  async function judge(file: AsyncIterable<Uint8Array>, length: number): Promise<Judgement> {
    const bell = new SharedArrayBuffer(4);
    const outcome = Promise.withResolvers<Judgement>();
    const feed = createFeed(file);
    const thread = new Worker(entry, {
      workerData: { length, bell } satisfies InspectionJob,
      env: {},
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: heapMiBMax, maxYoungGenerationSizeMb: 4 },
    });
    let msLeft = computeMsMax;
    let since = 0;
    let timer: NodeJS.Timeout | undefined;
    const run = (): void => {
      since = clock.monotonic();
      const late = (): void => outcome.reject(failed(`it takes more than ${computeMsMax} ms to judge it`));
      timer = setTimeout(late, msLeft);
    };
    const pause = (): void => {
      clearTimeout(timer);
      msLeft -= clock.monotonic() - since;
    };
    const give = async (offset: number): Promise<void> => {
      const bytes = await feed.from(offset);
      run();
      thread.postMessage(bytes, [bytes.buffer]);
      const rung = new Int32Array(bell);
      Atomics.store(rung, 0, 1);
      Atomics.notify(rung, 0);
    };
    thread.on('message', (message: InspectionMessage) => {
      pause();
      if (message.kind === 'judged') outcome.resolve(message.judgement);
      else give(message.offset).catch(outcome.reject);
    });
    thread.on('error', (error) => {
      const full = 'code' in (error as object) && (error as { code?: unknown }).code === OUT_OF_MEMORY;
      const why = full
        ? `it takes more than ${heapMiBMax} MiB of memory to judge it`
        : 'its inspection broke';
      outcome.reject(failed(why, error));
    });
    thread.on('exit', () => outcome.reject(failed('its inspection ended without a judgement')));
    run();
    try {
      const judgement = await outcome.promise;
      if (judgement.verdict === 'pass') await feed.drain();
      return judgement;
    } finally {
      clearTimeout(timer);
      await thread.terminate();
      await feed.close();
    }
  }

  return {
    inspect(file, length) {
      if (waiting > waitingMax) return Promise.reject(busy());
      waiting++;
      const judged = last.then(() => judge(file, length)).finally(() => waiting--);
      last = judged.catch(() => {});
      return judged;
    },
  };
}

const OUT_OF_MEMORY = 'ERR_WORKER_OUT_OF_MEMORY';

/** A stream of which one asks for the bytes from an offset on; what lies between is passed over. */
function createFeed(file: AsyncIterable<Uint8Array>) {
  const pieces = file[Symbol.asyncIterator]();
  let piece: Uint8Array = new Uint8Array();
  let start = 0;
  return {
    /** A copy, to give away. Empty beyond the end. */
    async from(offset: number): Promise<Uint8Array<ArrayBuffer>> {
      while (offset >= start + piece.length) {
        start += piece.length;
        const step = await pieces.next();
        if (step.done === true) return new Uint8Array();
        piece = step.value;
      }
      return new Uint8Array(piece.subarray(offset - start));
    },
    async drain(): Promise<void> {
      while ((await pieces.next()).done !== true);
    },
    close: async (): Promise<void> => void (await pieces.return?.()),
  };
}

function failed(why: string, cause?: unknown): Problem {
  return modelsProblems.inspection_failed(`the model was refused: ${why}`, { cause });
}

function busy(): Problem {
  return modelsProblems.busy('too many models are being inspected; try again shortly', {
    headers: { 'retry-after': '10' },
  });
}
