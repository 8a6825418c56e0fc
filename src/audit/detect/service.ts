import { setImmediate } from 'node:timers/promises';
import type { Log } from '../../kernel/log.ts';
import type { IndexedEntry } from '../audit-log.ts';
import type { Entry, EntryDraft } from '../entry.ts';
import type { EntrySource } from '../entry-source.ts';
import { type Alert, alertOf, draftOf } from './alert.ts';
import type { Detector, SavedPart } from './detector.ts';
import type { Responses } from './responses.ts';
import type { StateStore } from './state-file.ts';

export interface Detection {
  /** Takes up the saved state and begins to follow the log. Resolves before it has caught up. */
  start(): Promise<void>;
  /** Resolves when every entry that was durable at the call has been looked at, or a failure stopped it. */
  settled(): Promise<void>;
  /** Stops following and saves the state. */
  stop(): Promise<void>;
  counts(): DetectionCounts;
}

export interface DetectionCounts {
  /** Entries that wait to be looked at. */
  readonly lag: number;
  readonly alerts: number;
  /** Reads, writes and saves that failed. */
  readonly failures: number;
  readonly keys: number;
  readonly spilled: number;
}

const BATCH = 256;
const RESPONSES_PART = 'responses';
const UNSENT_PART = 'unsent';
/** Alerts that could not be recorded wait for the next entry; more than that are lost, and counted as failures. */
const UNSENT_MAX = 1000;

/**
 * Follows the log in the background, some entries a turn, and records the alerts in it. It is never in the way of a
 * request: whatever fails here is logged and counted, and tried again when the log grows.
 *
 * A restart goes on from the saved state. Entries that were written after it was saved are looked at again; an alert that
 * is in the log already is not recorded twice. Without a saved state the last `replayMax` entries make one, silently.
 */
export function createDetection({
  source,
  origin,
  append,
  detector,
  responses,
  state,
  log,
  reveal = (entry) => entry,
  saveEvery = 20_000,
  replayMax = 1_000_000,
}: {
  readonly source: EntrySource;
  /** Origin of the log: a state of another log is thrown away. */
  readonly origin: string;
  readonly append: (draft: EntryDraft) => Promise<unknown>;
  readonly detector: Detector;
  readonly responses: Pick<Responses, 'observe' | 'save' | 'load'>;
  readonly state: StateStore;
  readonly log: Log;
  /** Opens what is sealed in an entry, as far as it still can be. */
  readonly reveal?: (entry: Entry) => Entry;
  readonly saveEvery?: number;
  readonly replayMax?: number;
}): Detection {
  let next = 0;
  let saved = 0;
  /** Entries below were written before this start: their alerts may be in the log already. */
  let liveFrom = 0;
  let isSilent = false;
  let waiting: Alert[] = [];
  const recorded = new Set<string>();
  const tally = { alerts: 0, failures: 0 };
  let unsubscribe = (): void => {};
  let running: Promise<void> | undefined;
  let stopped = false;

  return {
    async start() {
      const found = await state.read().catch(failed('detection.state_unreadable'));
      liveFrom = source.size();
      if (found?.origin === origin && found.next <= liveFrom) {
        const fresh = detector.load(found.parts);
        const part = (id: string): SavedPart | undefined => found.parts.find((each) => each.id === id);
        const [held, unsent] = [part(RESPONSES_PART), part(UNSENT_PART)];
        if (held !== undefined) responses.load(held.bytes);
        if (unsent !== undefined) waiting = JSON.parse(Buffer.from(unsent.bytes).toString()) as Alert[];
        next = found.next;
        if (fresh.length > 0) log.info('detection.rules_restarted', { rules: fresh.join(' ') });
      } else {
        next = Math.max(0, liveFrom - replayMax);
        isSilent = true;
        if (liveFrom > 0) log.info('detection.rebuilding', { from: next, to: liveFrom });
      }
      saved = next;
      unsubscribe = source.onGrowth(wake);
      wake();
    },
    async settled() {
      const end = source.size();
      for (let before = -1; ; before = next) {
        wake();
        await running;
        if (next >= end || next === before) return;
      }
    },
    async stop() {
      unsubscribe();
      stopped = true;
      await running;
      await save();
    },
    counts: () => ({ lag: Math.max(0, source.size() - next), ...tally, ...detector.counts() }),
  };

  function wake(): void {
    if (running !== undefined || stopped) return;
    running = follow()
      .catch(failed('detection.failed'))
      .then(() => {
        running = undefined;
      });
  }

  async function follow(): Promise<void> {
    for (;;) {
      if (stopped) return;
      const entries = next < source.size() ? await source.read(next, BATCH) : [];
      for (const indexed of entries) take(indexed);
      if (next >= liveFrom) await send();
      if (entries.length === 0) return;
      if (next - saved >= saveEvery) await save();
      await setImmediate();
    }
  }

  function take(indexed: IndexedEntry): void {
    const opened = { ...indexed, entry: reveal(indexed.entry) };
    const alerts = detector.observe(opened);
    responses.observe(opened);
    next = indexed.index + 1;
    if (indexed.index < liveFrom) {
      const logged = alertOf(opened);
      if (logged !== undefined) recorded.add(logged.id);
      if (isSilent) return;
    }
    waiting.push(...alerts);
  }

  async function send(): Promise<void> {
    if (recorded.size > 0) {
      waiting = waiting.filter(({ id }) => !recorded.has(id));
      recorded.clear();
    }
    isSilent = false;
    while (waiting.length > 0) {
      const alert = waiting[0] as Alert;
      try {
        await append(draftOf(alert));
      } catch (error) {
        failed('detection.alert_not_recorded')(error);
        tally.failures += Math.max(0, waiting.length - UNSENT_MAX);
        waiting = waiting.slice(-UNSENT_MAX);
        return;
      }
      waiting.shift();
      tally.alerts++;
      const { id, rule, severity, at } = alert;
      log.warn('detection.alert', { alert: id, rule, severity, at });
    }
  }

  async function save(): Promise<void> {
    try {
      const parts: SavedPart[] = [];
      for (const part of detector.save()) {
        parts.push(part);
        await setImmediate();
      }
      parts.push({ id: RESPONSES_PART, tag: '1', bytes: responses.save() });
      parts.push({ id: UNSENT_PART, tag: '1', bytes: Buffer.from(JSON.stringify(waiting)) });
      await state.write({ origin, next, parts });
      saved = next;
    } catch (error) {
      failed('detection.state_not_saved')(error);
      // Not before as many entries again.
      saved = next;
    }
  }

  function failed(event: string): (error: unknown) => undefined {
    return (error) => {
      tally.failures++;
      log.error(event, { error: error instanceof Error ? error : new Error(String(error)) });
      return undefined;
    };
  }
}
