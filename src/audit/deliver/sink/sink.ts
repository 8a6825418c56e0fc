import type { LogEvent } from '../format/event.ts';

/** Where the log is sent. One batch is in flight at a time, and batches come in the order of the log. */
export interface Sink {
  /** Names it in the configuration, the metrics and its cursor file. */
  readonly name: string;
  readonly kind: 'webhook' | 'syslog' | 'otlp' | 'splunk' | 'file';
  readonly limits: SinkLimits;
  /** The text of one event as this sink sends it. Pure. */
  render(event: LogEvent): string;
  /**
   * Resolves when the receiver has taken it, with how many events it dropped without saying which. Rejects with a SinkRefusal if it never will; with anything else, a
   * SinkUnavailable or a network error, if it may take it later. Sent again, a batch has the same key.
   */
  send(batch: Batch, signal: AbortSignal): Promise<number>;
  close(): Promise<void>;
}

export interface SinkLimits {
  /** Events of one batch. */
  readonly eventsMax: number;
  /** Bytes of all texts of one batch together. */
  readonly batchBytesMax: number;
  /** Bytes of one text. A longer one is a dead letter. */
  readonly eventBytesMax: number;
}

export interface Batch {
  /** The same for the same events: an idempotency key. */
  readonly key: string;
  readonly origin: string;
  readonly items: readonly BatchItem[];
}

export interface BatchItem {
  readonly event: LogEvent;
  readonly text: string;
}

/** The receiver looked at the batch and will not take it: malformed or too large in its eyes. */
export class SinkRefusal extends Error {
  override readonly name = 'SinkRefusal';
}

/** The receiver cannot take anything now, or does not know us. */
export class SinkUnavailable extends Error {
  override readonly name = 'SinkUnavailable';
  /** How long the receiver asks us to wait. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, retryAfterMs?: number) {
    super(message);
    this.retryAfterMs = retryAfterMs;
  }
}

export const LIMITS: SinkLimits = {
  eventsMax: 500,
  batchBytesMax: 1 << 20,
  // A log entry is at most 64 KiB; escaped in ASCII with its envelope it stays below this.
  eventBytesMax: 512 * 1024,
};
