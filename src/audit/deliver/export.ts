import { setImmediate } from 'node:timers/promises';
import type { IndexedEntry } from '../audit-log.ts';
import type { EntrySource } from '../entry-source.ts';
import { RENDERED_AT_ONCE } from './batches.ts';
import { entryEvent } from './format/event.ts';
import type { Format } from './format/format.ts';

export interface ExportRange {
  /** First index. */
  readonly start: number;
  /** Milliseconds since 1970 UTC; `from` is included, `to` is not. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Lines at most. */
  readonly limit: number;
}

export interface ExportPage {
  readonly lines: readonly string[];
  /** Ask again from this index. Absent at the end of the log. A page may have it and hold no line. */
  readonly next?: number;
}

/** One call reads at most so many entries. */
const SCANNED_MAX = 16_384;
const READ_MAX = 256;

/** Lines in the order of the log: of a range of time, in any format. One call reads a bounded part of the log. */
export async function exportPage(
  source: Pick<EntrySource, 'size' | 'read'>,
  { origin, format, range }: { origin: string; format: Format; range: ExportRange },
): Promise<ExportPage> {
  const lines: string[] = [];
  const end = source.size();
  let next = range.start;
  for (const last = next + SCANNED_MAX; next < Math.min(end, last); ) {
    const entries = await source.read(next, Math.min(READ_MAX, end - next));
    if (entries.length === 0) break;
    for (const entry of entries) {
      next = entry.index + 1;
      if (!isWithin(entry, range)) continue;
      if (lines.length % RENDERED_AT_ONCE === RENDERED_AT_ONCE - 1) await setImmediate();
      lines.push(format(entryEvent(origin, entry)));
      if (lines.length === range.limit) return { lines, ...(next < end && { next }) };
    }
  }
  return { lines, ...(next < end && { next }) };
}

function isWithin({ entry }: IndexedEntry, { from, to }: ExportRange): boolean {
  const time = Date.parse(entry.time);
  return (from === undefined || time >= from) && (to === undefined || time < to);
}
