import type { IndexedEntry } from '../audit-log.ts';
import { readLogFile, readTileFile } from '../log-files.ts';
import { auditProblems } from '../problems.ts';
import { entryAt } from '../starts.ts';
import { parseBundle, TILE_WIDTH } from '../tile.ts';
import { leafHash } from '../tree.ts';
import type { Alert } from './alert.ts';
import { type ConfiguredRule, createDetector } from './detector.ts';
import type { NetworkOf } from './event-reader.ts';

export interface ReplayReport {
  /** Entries looked at. */
  readonly entries: number;
  readonly alerts: readonly Alert[];
}

/**
 * What rules would have found in history. Every entry builds up their state; alerts from `from` on, before `to`, are
 * reported (milliseconds since 1970 UTC).
 */
export async function replay({
  entries,
  rules,
  networkOf,
  from = Number.NEGATIVE_INFINITY,
  to = Number.POSITIVE_INFINITY,
}: {
  readonly entries: AsyncIterable<IndexedEntry> | Iterable<IndexedEntry>;
  readonly rules: readonly ConfiguredRule[];
  readonly networkOf?: NetworkOf;
  readonly from?: number;
  readonly to?: number;
}): Promise<ReplayReport> {
  const detector = createDetector({ rules, ...(networkOf !== undefined && { networkOf }) });
  const alerts: Alert[] = [];
  let count = 0;
  for await (const indexed of entries) {
    count++;
    for (const alert of detector.observe(indexed))
      if (alert.time >= from && alert.time < to) alerts.push(alert);
  }
  return { entries: count, alerts };
}

/** A6 listens to A1 to A5: to replay it alone, they run too. */
export function rulesFor(rules: readonly ConfiguredRule[], id: string): readonly ConfiguredRule[] {
  const needed = id === 'A6' ? new Set(['A1', 'A2', 'A3', 'A4', 'A5', 'A6']) : new Set([id]);
  return rules
    .filter(({ rule }) => needed.has(rule.id))
    .map((each) => ({ ...each, settings: { ...each.settings, enabled: true } }));
}

/** The sealed entries of a copy of `log/`, in order, a bundle at a time. Verify the copy first: nothing is checked here. */
export function* readLog(directory: string): Generator<IndexedEntry> {
  const size = Number(readLogFile(directory, 'checkpoint')?.toString().split('\n')[1] ?? 0);
  for (let place = 0; place * TILE_WIDTH < size; place++) {
    const first = place * TILE_WIDTH;
    const width = Math.min(TILE_WIDTH, size - first);
    const file = readTileFile(directory, 'entries', place, width);
    if (file === undefined) throw auditProblems.log_corrupt(`entry ${first} is missing`);
    for (const [at, bytes] of parseBundle(file.bytes).entries.slice(0, width).entries())
      yield { index: first + at, leaf: leafHash(bytes), entry: entryAt(first + at, bytes) };
  }
}
