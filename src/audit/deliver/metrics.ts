import { Counter, Gauge, type Registry } from 'prom-client';

/** What delivery counts, by the name of the sink. */
export interface DeliveryMetrics {
  /** How far the sink is behind. */
  lag(sink: string, lag: { readonly entries: number; readonly seconds: number }): void;
  delivered(sink: string, events: number): void;
  failed(sink: string): void;
  deadLetter(sink: string): void;
}

/** Registers `modelkeep_audit_sink_lag_entries`, `_lag_seconds`, `_events_total`, `_failures_total`, `_dead_letters_total`. */
export function createDeliveryMetrics(registry: Registry): DeliveryMetrics {
  const common = { labelNames: ['sink' as const], registers: [registry] };
  const entries = new Gauge({
    ...common,
    name: 'modelkeep_audit_sink_lag_entries',
    help: 'Entries of the audit log that the sink has not taken yet.',
  });
  const seconds = new Gauge({
    ...common,
    name: 'modelkeep_audit_sink_lag_seconds',
    help: 'Age of the oldest entry that the sink has not taken yet.',
  });
  const events = new Counter({
    ...common,
    name: 'modelkeep_audit_sink_events_total',
    help: 'Entries and checkpoints that the sink took.',
  });
  const failures = new Counter({
    ...common,
    name: 'modelkeep_audit_sink_failures_total',
    help: 'Batches that the sink did not take at one attempt.',
  });
  const deadLetters = new Counter({
    ...common,
    name: 'modelkeep_audit_sink_dead_letters_total',
    help: 'Entries that the sink will never take: too large, or refused by the receiver.',
  });
  return {
    lag(sink, lag) {
      entries.set({ sink }, lag.entries);
      seconds.set({ sink }, lag.seconds);
    },
    delivered: (sink, count) => events.inc({ sink }, count),
    failed: (sink) => failures.inc({ sink }),
    deadLetter: (sink) => deadLetters.inc({ sink }),
  };
}

export const noMetrics: DeliveryMetrics = {
  lag: () => {},
  delivered: () => {},
  failed: () => {},
  deadLetter: () => {},
};
