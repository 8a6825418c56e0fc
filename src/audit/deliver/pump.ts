import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { EntrySource } from '../entry-source.ts';
import { halves, parcels } from './batches.ts';
import type { Cursor, CursorStore } from './cursor-store.ts';
import { checkpointEvent, entryEvent, type LogEvent, timeMs } from './format/event.ts';
import type { DeliveryMetrics } from './metrics.ts';
import { backoffMs, type Pacing } from './pacing.ts';
import { type Batch, type Sink, SinkRefusal, SinkUnavailable } from './sink/sink.ts';

export interface PumpParts {
  readonly sink: Sink;
  readonly source: EntrySource;
  readonly cursors: CursorStore;
  /** Of the log. */
  readonly origin: string;
  /** A signed checkpoint of everything durable. */
  readonly checkpoint: () => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
  readonly metrics: DeliveryMetrics;
  readonly pacing: Pacing;
  readonly tuning: DeliveryTuning;
  readonly onAlert: (alert: DeliveryAlert) => void;
}

export interface DeliveryTuning {
  /** Entries read at a step. */
  readonly readMax: number;
  /** How long entries gather before they are sent, milliseconds. */
  readonly lingerMs: number;
  /** Between checkpoints to one sink, milliseconds; none is sent while nothing happens. */
  readonly checkpointMs: number;
  /** A sink that has been this far behind for so long is reported, milliseconds. */
  readonly alertMs: number;
}

export interface DeliveryAlert {
  readonly sink: string;
  /** `contradicted`: the log is not the one that the sink was sent. */
  readonly reason: 'lagging' | 'recovered' | 'contradicted';
  /** First entry that the sink does not have. */
  readonly next: number;
  readonly lagEntries: number;
  readonly lagMs: number;
}

export interface SinkStatus {
  readonly name: string;
  readonly kind: Sink['kind'];
  readonly state: 'idle' | 'sending' | 'retrying' | 'stopped';
  readonly next: number;
  readonly lagEntries: number;
  readonly lagMs: number;
  readonly deadLetters: number;
  readonly lastDeadLetters: Cursor['lastDeadLetters'];
  /** Why the last attempt failed; absent after one that did not. */
  readonly failure?: string;
}

export interface Pump {
  /** Resolves once `signal` has fired and nothing is under way. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  status(): SinkStatus;
}

const DEAD_LETTERS_LISTED = 32;
/** A receiver that refuses everything is misconfigured: nothing more is given up until it takes something. */
const REFUSALS_IN_A_ROW_MAX = 16;

/** Moves one sink along the log: at least once, in order, one batch at a time. */
export function createPump(parts: PumpParts): Pump {
  const { sink, source, cursors, origin, clock, log, metrics, pacing, tuning } = parts;
  let cursor: Cursor = { v: 1, origin, next: 0, leaf: '', deadLetters: 0, lastDeadLetters: [] };
  let state: SinkStatus['state'] = 'idle';
  let failure: string | undefined;
  let oldestMs: number | undefined;
  let behindSince = clock.monotonic();
  let isAlerted = false;
  let refusalsInARow = 0;
  let checkpointDueMs = clock.monotonic() + tuning.checkpointMs;
  let owesCheckpoint = false;

  async function run(signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        await resume();
        break;
      } catch (error) {
        await fail(error, attempt, signal);
      }
    }
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        while (!signal.aborted) {
          if (!(await step(signal))) await idle(signal);
          attempt = 1;
        }
      } catch (error) {
        await fail(error, attempt, signal);
      }
    }
    state = 'stopped';
    await sink.close().catch((error: unknown) => warn('audit.sink_close_failed', error));
  }

  /** Where the cursor stands, if it stands in this log. */
  async function resume(): Promise<void> {
    const stored = await cursors.load(sink.name);
    if (stored === undefined) return;
    const { next, leaf } = stored;
    if (stored.origin !== origin) {
      log.warn('audit.sink_new_log', { sink: sink.name, origin, before: stored.origin });
      return;
    }
    const last = next === 0 || next > source.size() ? undefined : (await source.read(next - 1, 1))[0];
    if (next > 0 && (last === undefined || Buffer.from(last.leaf).toString('hex') !== leaf)) {
      // The receiver holds entries that this log does not. It gets all of ours, and so holds both versions.
      log.error('audit.sink_contradicted', { sink: sink.name, next, size: source.size() });
      alert('contradicted', next);
      cursor = { ...stored, next: 0, leaf: '' };
      return;
    }
    cursor = stored;
  }

  /** Sends what there is next; false if there is nothing. */
  async function step(signal: AbortSignal): Promise<boolean> {
    if (owesCheckpoint && clock.monotonic() >= checkpointDueMs) {
      const event = checkpointEvent(origin, await parts.checkpoint(), clock.now());
      await sendAll([event], signal);
      owesCheckpoint = false;
      checkpointDueMs = clock.monotonic() + tuning.checkpointMs;
    }
    const entries = await source.read(cursor.next, tuning.readMax);
    await sendAll(
      entries.map((entry) => entryEvent(origin, entry)),
      signal,
    );
    return entries.length > 0;
  }

  async function sendAll(events: readonly LogEvent[], signal: AbortSignal): Promise<void> {
    for await (const parcel of parcels(sink, events)) {
      if (signal.aborted) return;
      state = 'sending';
      if (parcel.kind === 'dead') await bury(parcel.event, parcel.reason);
      else await deliver(parcel.batch, signal);
    }
  }

  /** Until the receiver has taken it all, or refused what it will never take; or `signal` fires. */
  async function deliver(batch: Batch, signal: AbortSignal): Promise<void> {
    for (let attempt = 1; !signal.aborted; attempt++) {
      measure(batch);
      try {
        state = attempt === 1 ? 'sending' : 'retrying';
        const dropped = await sink.send(batch, signal);
        await taken(batch, dropped);
        return;
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof SinkRefusal && batch.items.length > 1) {
          for (const half of halves(batch)) await deliver(half, signal);
          return;
        }
        const [only] = batch.items;
        if (error instanceof SinkRefusal && only !== undefined && refusalsInARow < REFUSALS_IN_A_ROW_MAX) {
          refusalsInARow++;
          await bury(only.event, error.message);
          return;
        }
        await fail(error, attempt, signal);
      }
    }
  }

  async function taken({ items }: Batch, dropped: number): Promise<void> {
    if (dropped === 0) refusalsInARow = 0;
    failure = undefined;
    metrics.delivered(sink.name, items.length - dropped);
    const first = items[0]?.event;
    const last = items.at(-1)?.event;
    if (last?.index === undefined) return;
    if (dropped === 0) return advance(last);
    const reason = `the receiver dropped ${dropped} of ${items.length} events and did not say which`;
    log.warn('audit.sink_dead_letter', { sink: sink.name, key: first?.key, reason });
    for (let count = 0; count < dropped; count++) metrics.deadLetter(sink.name);
    await advance(last, deadLetter(first?.index ?? last.index, reason, dropped));
  }

  async function bury(event: LogEvent, reason: string): Promise<void> {
    metrics.deadLetter(sink.name);
    log.warn('audit.sink_dead_letter', { sink: sink.name, key: event.key, reason });
    if (event.index !== undefined) await advance(event, deadLetter(event.index, reason, 1));
  }

  function deadLetter(
    index: number,
    reason: string,
    count: number,
  ): Pick<Cursor, 'deadLetters' | 'lastDeadLetters'> {
    const { deadLetters, lastDeadLetters } = cursor;
    return {
      deadLetters: deadLetters + count,
      lastDeadLetters: [...lastDeadLetters, { index, reason }].slice(-DEAD_LETTERS_LISTED),
    };
  }

  async function advance(
    { index = 0, leaf }: LogEvent,
    dead: Partial<Pick<Cursor, 'deadLetters' | 'lastDeadLetters'>> = {},
  ): Promise<void> {
    const hex = leaf === undefined ? '' : Buffer.from(leaf).toString('hex');
    cursor = { ...cursor, ...dead, v: 1, origin, next: index + 1, leaf: hex };
    owesCheckpoint = true;
    // With an older cursor on the disk the next start sends entries twice: better than not to send any now.
    await cursors.save(sink.name, cursor).catch((error: unknown) => warn('audit.sink_cursor_failed', error));
  }

  async function fail(error: unknown, attempt: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    state = 'retrying';
    failure = error instanceof Error ? error.message : String(error);
    metrics.failed(sink.name);
    if (attempt === 1 || attempt % 10 === 0) warn('audit.sink_failed', error, { attempt });
    watch();
    const asked = error instanceof SinkUnavailable ? (error.retryAfterMs ?? 0) : 0;
    await pacing.wait(Math.max(asked, backoffMs(attempt, pacing.jitter())), signal);
  }

  /** Until the log grows, or a checkpoint is due. */
  async function idle(signal: AbortSignal): Promise<void> {
    state = 'idle';
    oldestMs = undefined;
    watch();
    const wake = new AbortController();
    const until = AbortSignal.any([signal, wake.signal]);
    const stop = source.onGrowth(() => wake.abort());
    try {
      if (source.size() <= cursor.next) {
        const dueMs = owesCheckpoint ? Math.max(1, checkpointDueMs - clock.monotonic()) : tuning.checkpointMs;
        await pacing.wait(dueMs, until);
      }
    } finally {
      stop();
    }
    if (source.size() > cursor.next) await pacing.wait(tuning.lingerMs, signal);
  }

  function measure({ items }: Batch): void {
    const [first] = items;
    oldestMs = first?.event.index === undefined ? undefined : timeMs(first.event.entry);
    watch();
  }

  /** Keeps the metrics, and reports a sink that is behind for too long, once. */
  function watch(): void {
    const { entries, ms } = lag();
    metrics.lag(sink.name, { entries, seconds: ms / 1000 });
    if (ms < tuning.alertMs) {
      behindSince = clock.monotonic();
      if (isAlerted) alert('recovered', cursor.next);
      isAlerted = false;
    } else if (!isAlerted && clock.monotonic() - behindSince >= tuning.alertMs) {
      isAlerted = true;
      log.error('audit.sink_lagging', { sink: sink.name, entries, seconds: Math.round(ms / 1000), failure });
      alert('lagging', cursor.next);
    }
  }

  function lag(): { entries: number; ms: number } {
    const entries = Math.max(0, source.size() - cursor.next);
    return { entries, ms: oldestMs === undefined ? 0 : Math.max(0, clock.now() - oldestMs) };
  }

  function alert(reason: DeliveryAlert['reason'], next: number): void {
    const { entries, ms } = lag();
    parts.onAlert({ sink: sink.name, reason, next, lagEntries: entries, lagMs: ms });
  }

  function warn(event: string, error: unknown, fields: Readonly<Record<string, number>> = {}): void {
    log.warn(event, { sink: sink.name, ...fields, error: error instanceof Error ? error : String(error) });
  }

  return {
    run,
    status() {
      const { entries, ms } = lag();
      const { next, deadLetters, lastDeadLetters } = cursor;
      return {
        name: sink.name,
        kind: sink.kind,
        state,
        next,
        lagEntries: entries,
        lagMs: ms,
        deadLetters,
        lastDeadLetters,
        ...(failure !== undefined && { failure }),
      };
    },
  };
}
