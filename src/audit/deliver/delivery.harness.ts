import type { TestContext } from 'node:test';
import { silentLog } from '../../kernel/log.ts';
import type { EntryDraft } from '../entry.ts';
import { type Delivery, type DeliveryOptions, startDelivery } from './delivery.ts';
import { ORIGIN } from './format/testing.ts';
import {
  createManualPacing,
  createMemoryCursors,
  createMemorySource,
  type FakeSink,
  type ManualPacing,
  type MemorySource,
} from './testing.ts';

/** A log that grows by hand, time that passes by hand, and the deliveries that a test starts over them. */
export interface DeliveryHarness {
  readonly pacing: ManualPacing;
  readonly source: MemorySource;
  /** What deliveries wrote into the log. */
  readonly appended: EntryDraft[];
  /** Closed when the test ends. */
  readonly start: (sinks: readonly FakeSink[], options?: Partial<DeliveryOptions>) => Delivery;
}

export function createDeliveryHarness(t: Pick<TestContext, 'after'>): DeliveryHarness {
  const pacing = createManualPacing();
  const source = createMemorySource(pacing.clock);
  const appended: EntryDraft[] = [];
  return {
    pacing,
    source,
    appended,
    start(sinks, options = {}) {
      const delivery = startDelivery({
        source,
        sinks,
        cursors: createMemoryCursors(),
        origin: ORIGIN,
        checkpoint: async () => `${ORIGIN}\n${source.size()}\nroot=\n\n— ${ORIGIN} sig=\n`,
        append: async (draft) => void appended.push(draft),
        clock: pacing.clock,
        log: silentLog,
        pacing,
        ...options,
      });
      t.after(() => delivery.close());
      return delivery;
    },
  };
}

/** Holds once every sink has all entries below `next` and is at rest. */
export function reached(delivery: Delivery, next: number): () => boolean {
  return () => delivery.status().every((status) => status.next === next && status.state === 'idle');
}

export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index);
}
