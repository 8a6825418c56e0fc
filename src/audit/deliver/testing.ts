import { setImmediate } from 'node:timers/promises';
import { createManualClock, type ManualClock } from '../../kernel/clock.ts';
import type { IndexedEntry } from '../audit-log.ts';
import type { Entry } from '../entry.ts';
import type { EntrySource } from '../entry-source.ts';
import { leafHash } from '../tree.ts';
import type { Cursor, CursorStore } from './cursor-store.ts';
import { createFormat } from './format/format.ts';
import { sampleEntry } from './format/testing.ts';
import type { Pacing } from './pacing.ts';
import { type Batch, LIMITS, type Sink, type SinkLimits } from './sink/sink.ts';

/** A log in memory that grows when a test says so. */
export interface MemorySource extends EntrySource {
  grow(count: number, members?: (index: number) => Partial<Entry>): void;
  /** As after a restore of an older copy. */
  shrink(size: number): void;
}

export function createMemorySource(clock: ManualClock): MemorySource {
  const entries: IndexedEntry[] = [];
  const listeners = new Set<() => void>();
  return {
    size: () => entries.length,
    read: async (from, limit) => entries.slice(from, from + limit),
    onGrowth(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    grow(count, members = () => ({})) {
      for (let n = 0; n < count; n++) {
        const index = entries.length;
        const time = new Date(clock.now()).toISOString();
        const entry = sampleEntry({ id: `id-${clock.now()}-${index}`, time, ...members(index) });
        entries.push({ index, leaf: leafHash(Buffer.from(JSON.stringify(entry))), entry });
      }
      for (const listener of listeners) listener();
    },
    shrink(size) {
      entries.length = size;
    },
  };
}

/** A receiver that does what `behave` says with each batch, and remembers what it took. */
export interface FakeSink extends Sink {
  readonly batches: Batch[];
  /** Indices taken, in order, repetitions included; a checkpoint is -1. */
  taken(): readonly number[];
  /** What happens to the next batches: throws, or gives how many were dropped. */
  behave: (batch: Batch) => number | Promise<number>;
}

export function createFakeSink(name: string, limits: Partial<SinkLimits> = {}): FakeSink {
  const batches: Batch[] = [];
  const sink: FakeSink = {
    name,
    kind: 'webhook',
    limits: { ...LIMITS, ...limits },
    render: createFormat('json', '0.1.0'),
    batches,
    behave: () => 0,
    async send(batch, signal) {
      signal.throwIfAborted();
      const dropped = await sink.behave(batch);
      batches.push(batch);
      return dropped;
    },
    taken: () => batches.flatMap(({ items }) => items.map(({ event }) => event.index ?? -1)),
    close: async () => {},
  };
  return sink;
}

/** Waits that end when a test lets time pass. */
export interface ManualPacing extends Pacing {
  readonly clock: ManualClock;
  /** Every wait asked for, milliseconds. */
  readonly waits: number[];
  /** Lets time pass, from one wait to the next, until `done` holds. */
  until(done: () => boolean): Promise<void>;
  /** Lets what is under way go on without any time passing. */
  settle(): Promise<void>;
}

export function createManualPacing(clock = createManualClock()): ManualPacing {
  const waiting = new Set<{ readonly due: number; readonly end: () => void }>();
  const waits: number[] = [];
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < 20; turn++) await setImmediate();
  };
  return {
    clock,
    waits,
    jitter: () => 1,
    wait(ms, signal) {
      waits.push(ms);
      return new Promise((resolve) => {
        const timer = {
          due: clock.monotonic() + ms,
          end: (): void => {
            waiting.delete(timer);
            resolve();
          },
        };
        waiting.add(timer);
        if (signal.aborted) timer.end();
        else signal.addEventListener('abort', timer.end, { once: true });
      });
    },
    settle,
    async until(done) {
      for (let step = 0; step < 10_000; step++) {
        await settle();
        if (done()) return;
        const next = [...waiting].toSorted((a, b) => a.due - b.due)[0];
        if (next === undefined) continue;
        clock.advance(Math.max(0, next.due - clock.monotonic()));
        next.end();
      }
      throw new Error('it did not come about');
    },
  };
}

/** Cursors that last as long as the test. */
export function createMemoryCursors(): CursorStore {
  const cursors = new Map<string, Cursor>();
  return {
    load: async (sink) => cursors.get(sink),
    save: async (sink, value) => void cursors.set(sink, value),
  };
}
