import type { Clock } from '../../kernel/clock.ts';
import { auditProblems } from '../problems.ts';
import { HASH_BYTES } from '../tree.ts';
import type { WriterAnswer, WriterRequest } from './protocol.ts';

/** The main thread's side of the writer: a queue that is handed over whole whenever the last group is durable. */
export interface Writer {
  /** Resolves when the entry is durable. Rejects with `audit.unavailable`, now and for ever once a write has failed. */
  append(text: string): Promise<Written>;
  /** Number of durable entries, those before this writer included. */
  size(): number;
  /** Why nothing can be written any more. */
  failure(): string | undefined;
  /** Fails everything pending and to come. */
  fail(reason: string): void;
  /** Waits for what is pending; later appends reject. */
  close(): Promise<void>;
}

export interface Written {
  readonly index: number;
  readonly leaf: Uint8Array;
}

/** The part of a `Worker` that is used. */
export interface WriterThread {
  postMessage(request: WriterRequest, transfer: readonly []): void;
  on(event: 'message', listener: (answer: WriterAnswer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  ref(): void;
  unref(): void;
}

export interface WriterOptions {
  readonly thread: WriterThread;
  /** Index of the next entry. */
  readonly first: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  /** Called with the leaf hashes of each group when it is durable, before its promises resolve. */
  readonly onDurable: (leaves: Uint8Array) => void;
  readonly onFailure: (reason: string) => void;
  /** Entries that wait for the group in flight. */
  readonly queueMax: number;
  /** A group that takes longer turns new entries away until it is durable. */
  readonly stallMsMax: number;
}

interface Pending {
  readonly text: string;
  readonly resolve: (written: Written) => void;
  readonly reject: (error: Error) => void;
}

/** Resolves when the thread has opened its segment; rejects with `audit.unavailable` if it cannot. */
export async function openWriter(options: WriterOptions): Promise<Writer> {
  const { thread, clock, onDurable, onFailure, queueMax, stallMsMax } = options;
  let size = options.first;
  let queue: Pending[] = [];
  let flight: readonly Pending[] = [];
  let flightSince = 0;
  let scheduled = false;
  let failure: string | undefined;
  let drained: (() => void) | undefined;
  const ready = Promise.withResolvers<void>();

  thread.on('message', (answer) => {
    if (answer.kind === 'ready') ready.resolve();
    else if (answer.kind === 'failed') fail(answer.reason);
    else settle(answer.leaves);
  });
  thread.on('error', (error) => fail(`the writer stopped: ${error.message}`));
  thread.on('exit', () => fail('the writer stopped'));
  await ready.promise;
  thread.unref();
  return { append, size: () => size, failure: () => failure, fail, close };

  function append(text: string): Promise<Written> {
    if (failure !== undefined) return Promise.reject(unavailable(failure));
    if (queue.length >= queueMax)
      return Promise.reject(unavailable(`${queueMax} entries wait to be written`));
    if (flight.length > 0 && clock.monotonic() - flightSince > stallMsMax) {
      return Promise.reject(unavailable(`the disk has not answered for ${stallMsMax} ms`));
    }
    return new Promise((resolve, reject) => {
      queue.push({ text, resolve, reject });
      if (flight.length > 0 || scheduled) return;
      scheduled = true;
      queueMicrotask(flush);
    });
  }

  function flush(): void {
    scheduled = false;
    if (queue.length === 0 || failure !== undefined) return;
    flight = queue;
    queue = [];
    flightSince = clock.monotonic();
    thread.ref();
    thread.postMessage({ kind: 'commit', texts: flight.map((pending) => pending.text) }, []);
  }

  function settle(leaves: Uint8Array): void {
    if (failure !== undefined) return;
    const done = flight;
    const first = size;
    flight = [];
    size += done.length;
    onDurable(leaves);
    done.forEach(({ resolve }, at) =>
      resolve({ index: first + at, leaf: leaves.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES) }),
    );
    flush();
    if (flight.length > 0) return;
    thread.unref();
    drained?.();
  }

  function fail(reason: string): void {
    if (failure !== undefined) return;
    failure = reason;
    const lost = [...flight, ...queue];
    flight = [];
    queue = [];
    thread.unref();
    ready.reject(unavailable(reason));
    for (const { reject } of lost) reject(unavailable(reason));
    drained?.();
    onFailure(reason);
  }

  async function close(): Promise<void> {
    if (failure === undefined && (flight.length > 0 || queue.length > 0)) {
      await new Promise<void>((resolve) => {
        drained = resolve;
      });
    }
    failure ??= 'the log is closed';
    thread.postMessage({ kind: 'close' }, []);
  }
}

function unavailable(reason: string): Error {
  return auditProblems.unavailable('The attempt could not be recorded, so it was refused.', {
    cause: new Error(reason),
    headers: { 'retry-after': '1' },
  });
}
