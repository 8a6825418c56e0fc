import { randomUUID } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import type { Entry, EntryDraft } from './entry.ts';

/** Gives drafts their id and time. */
export interface Stamp {
  /** The entry; and, if the clock has gone back since the last one, an entry that says so, to stand in front. */
  stamp(draft: EntryDraft): { readonly entry: Entry; readonly step?: Entry };
}

/**
 * `previous`: the last entry of the log, so that a step between two runs is noticed too. Ids sort as the log does, even
 * within one millisecond and after the clock went back.
 */
export function createStamp(clock: Pick<Clock, 'now'>, previous?: Pick<Entry, 'id' | 'time'>): Stamp {
  let last = previous === undefined ? 0 : Date.parse(previous.time);
  let idMs = previous === undefined ? 0 : Number.parseInt(previous.id.replaceAll('-', '').slice(0, 12), 16);
  // As if used up: the next id gets a later millisecond than the previous run's.
  let idCount = ID_COUNT_MAX;
  // Many entries share a millisecond.
  let timeMs = Number.NaN;
  let time = '';
  return {
    stamp(draft) {
      const now = clock.now();
      const step = now < last ? { step: make(now, clockStep(last, now)) } : {};
      last = now;
      return { ...step, entry: make(now, draft) };
    },
  };

  function make(now: number, draft: EntryDraft): Entry {
    if (now !== timeMs) {
      timeMs = now;
      time = new Date(now).toISOString();
    }
    return { ...draft, v: 1, id: nextId(now), time };
  }

  function nextId(now: number): string {
    if (now > idMs) {
      idMs = now;
      idCount = 0;
    } else if (idCount < ID_COUNT_MAX) {
      idCount++;
    } else {
      idMs++;
      idCount = 0;
    }
    return uuidV7(idMs, idCount);
  }
}

function clockStep(last: number, now: number): EntryDraft {
  return {
    phase: 'single',
    action: 'audit.clock_step',
    principal: { kind: 'system' },
    resource: '/audit',
    decision: 'allow',
    reason: 'clock_went_back',
    detail: { from: new Date(last).toISOString(), to: new Date(now).toISOString(), stepMs: last - now },
  };
}

/** Twelve bits. */
const ID_COUNT_MAX = 0xfff;

/**
 * RFC 9562 section 5.7, with a counter where section 6.2 method 1 allows it. The random part is that of a version 4 UUID,
 * which Node takes from a cache.
 */
function uuidV7(ms: number, count: number): string {
  const time = ms.toString(16).padStart(12, '0');
  const counter = count.toString(16).padStart(3, '0');
  return `${time.slice(0, 8)}-${time.slice(8)}-7${counter}${randomUUID().slice(18)}`;
}
