import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { EntryDraft } from '../entry.ts';
import type { EntrySource } from '../entry-source.ts';
import type { CursorStore } from './cursor-store.ts';
import { type DeliveryMetrics, noMetrics } from './metrics.ts';
import { type Pacing, systemPacing } from './pacing.ts';
import { createPump, type DeliveryAlert, type DeliveryTuning, type SinkStatus } from './pump.ts';
import type { Sink } from './sink/sink.ts';

export interface DeliveryOptions {
  readonly source: EntrySource;
  readonly sinks: readonly Sink[];
  readonly cursors: CursorStore;
  /** Of the log. */
  readonly origin: string;
  /** A signed checkpoint of everything durable: `AuditLog.checkpoint`. */
  readonly checkpoint: () => Promise<string>;
  /** Records an alert in the log itself: `AuditLog.append`. */
  readonly append: (draft: EntryDraft) => Promise<unknown>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics?: DeliveryMetrics;
  readonly pacing?: Pacing;
  readonly tuning?: Partial<DeliveryTuning>;
}

export interface Delivery {
  status(): readonly SinkStatus[];
  /** Stops where each sink is; what was under way is sent again after the next start. */
  close(): Promise<void>;
}

const TUNING: DeliveryTuning = {
  // One bundle of the log.
  readMax: 256,
  lingerMs: 500,
  checkpointMs: 300_000,
  alertMs: 300_000,
};

/**
 * Sends the log to every sink from now on, each at its own pace. Nothing of it is awaited by a request: entries are
 * read back from the log after they are durable, so that a sink that is slow or down costs the server nothing but a
 * cursor that stays where it is.
 */
export function startDelivery(options: DeliveryOptions): Delivery {
  const { sinks, metrics = noMetrics, pacing = systemPacing, log, append } = options;
  const stop = new AbortController();
  const tuning = { ...TUNING, ...options.tuning };
  const onAlert = (alert: DeliveryAlert): void => {
    append(alertDraft(alert)).catch((error: unknown) => {
      log.error('audit.alert_not_recorded', { sink: alert.sink, error: error as Error });
    });
  };
  const pumps = sinks.map((sink) => createPump({ ...options, sink, metrics, pacing, tuning, onAlert }));
  const running = pumps.map((pump) => pump.run(stop.signal));
  return {
    status: () => pumps.map((pump) => pump.status()),
    async close() {
      stop.abort();
      await Promise.all(running);
    },
  };
}

/** The entry that tells of a sink. It is sent like every other, to the sinks that work. */
function alertDraft({ sink, reason, next, lagEntries, lagMs }: DeliveryAlert): EntryDraft {
  return {
    phase: 'single',
    action: `audit.delivery_${reason}`,
    principal: { kind: 'system' },
    resource: '/audit',
    decision: reason === 'recovered' ? 'allow' : 'error',
    reason,
    detail: { sink, next, lagEntries, lagSeconds: Math.round(lagMs / 1000) },
  };
}
