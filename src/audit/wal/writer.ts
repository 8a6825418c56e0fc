import type { Clock } from '../../kernel/clock.ts';
import { auditProblems } from '../problems.ts';
import { HASH_BYTES } from '../tree.ts';
import { CLOSE, COUNT, GROUP, type Handover, IDLE, LENGTH, layOut, TURN } from './handover.ts';
import type { WriterAnswer } from './protocol.ts';

/** The main thread's side of the writer: a queue that is handed over whole whenever the last group is durable. */
export interface Writer {
  /** Resolves when the entry is durable. Rejects with `audit.unavailable`, now and for ever once a write has failed. */
  append(text: string): Promise<Written>;
  /** Number of durable entries, those before this writer included. */
  size(): number;
  /** Why nothing can be written any more. */
  failure(): string | undefined;
  /** Claims that the group in flight has taken too long. New entries are turned away meanwhile. */
  stalled(): boolean;
  /**
   * Rejects whatever waits, so that nobody hangs on a disk that does not answer. The entries are written all the same
   * if it answers after all: what was asked for is then recorded, and was refused.
   */
  shed(): number;
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
  on(event: 'message', listener: (answer: WriterAnswer) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: () => void): unknown;
  ref(): void;
  unref(): void;
}

export interface WriterOptions {
  readonly thread: WriterThread;
  /** Shared with the thread. */
  readonly handover: Handover;
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
  const { thread, handover, clock, onDurable, onFailure, queueMax, stallMsMax } = options;
  const { control, leaves } = handover;
  const stallReason = `the disk has not answered for ${stallMsMax} ms`;
  let size = options.first;
  let queue: Pending[] = [];
  let flight: readonly Pending[] = [];
  let flightSince = 0;
  let scheduled = false;
  let failure: string | undefined;
  let drained: (() => void) | undefined;
  const ready = Promise.withResolvers<void>();
  const exited = Promise.withResolvers<void>();

  thread.on('message', (answer) => {
    if (answer.kind === 'ready') ready.resolve();
    else fail(answer.reason);
  });
  thread.on('error', (error) => fail(`the writer stopped: ${error.message}`));
  thread.on('exit', () => {
    exited.resolve();
    fail('the writer stopped');
  });
  await ready.promise;
  thread.unref();
  return { append, size: () => size, failure: () => failure, stalled, shed, fail, close };

  function append(text: string): Promise<Written> {
    if (failure !== undefined) return Promise.reject(unavailable(failure));
    if (queue.length >= queueMax)
      return Promise.reject(unavailable(`${queueMax} entries wait to be written`));
    if (stalled()) return Promise.reject(unavailable(stallReason));
    return new Promise((resolve, reject) => {
      queue.push({ text, resolve, reject });
      if (flight.length > 0 || scheduled) return;
      scheduled = true;
      queueMicrotask(flush);
    });
  }

  function stalled(): boolean {
    return flight.length > 0 && clock.monotonic() - flightSince > stallMsMax;
  }

  function shed(): number {
    const waiting = [...flight, ...queue];
    for (const { reject } of waiting) reject(unavailable(stallReason));
    return waiting.length;
  }

  function flush(): void {
    scheduled = false;
    if (queue.length === 0 || failure !== undefined) return;
    const { count, length } = layOut(handover, queue);
    flight = count === queue.length ? queue : queue.slice(0, count);
    queue = queue.slice(count);
    flightSince = clock.monotonic();
    thread.ref();
    control[COUNT] = count;
    control[LENGTH] = length;
    hand(GROUP);
    awaitTurn();
  }

  function hand(turn: number): void {
    Atomics.store(control, TURN, turn);
    Atomics.notify(control, TURN);
  }

  function awaitTurn(): void {
    const { async, value } = Atomics.waitAsync(control, TURN, GROUP);
    if (async) void value.then(awaitTurn);
    else if (Atomics.load(control, TURN) === IDLE) settle();
  }

  function settle(): void {
    if (failure !== undefined) return;
    const done = flight;
    const first = size;
    const hashes = leaves.slice(0, done.length * HASH_BYTES);
    flight = [];
    size += done.length;
    onDurable(hashes);
    // Before anyone is told: the disk works on the next group meanwhile.
    flush();
    done.forEach(({ resolve }, at) =>
      resolve({ index: first + at, leaf: hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES) }),
    );
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
    thread.ref();
    hand(CLOSE);
    // It gives back room at the end of the segment, which whoever opens the log next must not find.
    await exited.promise;
  }
}

function unavailable(reason: string): Error {
  return auditProblems.unavailable('The attempt could not be recorded, so it was refused.', {
    cause: new Error(reason),
    headers: { 'retry-after': '1' },
  });
}
