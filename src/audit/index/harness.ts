import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log, LogFields } from '../../kernel/log.ts';
import type { IndexedEntry } from '../audit-log.ts';
import type { Entry } from '../entry.ts';
import type { EntrySource } from '../entry-source.ts';
import { serialiseEntry } from '../serialise.ts';
import { leafHash } from '../tree.ts';
import { type AuditIndex, type AuditIndexOptions, openAuditIndex } from './audit-index.ts';
import type { StatsQuery } from './protocol.ts';
import type { IndexQuery } from './query.ts';

/** A log in memory that grows when the test says so. */
export interface TestSource extends EntrySource {
  add(...changes: readonly Partial<Entry>[]): void;
  readonly rows: IndexedEntry[];
  /** Entries read so far. */
  reads(): number;
}

export function createTestSource(): TestSource {
  const rows: IndexedEntry[] = [];
  const listeners = new Set<() => void>();
  let reads = 0;
  return {
    rows,
    reads: () => reads,
    size: () => rows.length,
    read(from, limit) {
      reads += Math.min(limit, Math.max(0, rows.length - from));
      return Promise.resolve(rows.slice(from, from + limit));
    },
    onGrowth(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    add(...changes) {
      for (const change of changes) {
        const entry = entryOf(rows.length, change);
        rows.push({ index: rows.length, leaf: leafHash(Buffer.from(serialiseEntry(entry))), entry });
      }
      for (const listener of listeners) listener();
    },
  };
}

export const START = Date.UTC(2026, 0, 1);

export function entryOf(at: number, change: Partial<Entry> = {}): Entry {
  return {
    v: 1,
    id: `01990000-0000-7000-8000-${String(at).padStart(12, '0')}`,
    time: new Date(START + at * 1000).toISOString(),
    phase: 'single',
    action: 'model.invoke',
    principal: { kind: 'user', id: 'usr_ada', name: 'ada' },
    resource: '/projects/fraud/models/score',
    decision: 'allow',
    reason: 'allowed',
    ...change,
  };
}

/** An operator's log that remembers what it was told. */
export function createTestLog(): Log & {
  readonly lines: { event: string; fields: LogFields | undefined }[];
} {
  const lines: { event: string; fields: LogFields | undefined }[] = [];
  const at = (event: string, fields?: LogFields): void => void lines.push({ event, fields });
  return { lines, info: at, warn: at, error: at };
}

export async function newIndexFile(): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), 'modelkeep-index-')), 'audit-index.db');
}

/** Runs `work` with an index that only works when it is asked to: no timer is waited for. */
export async function withIndex<T>(
  options: Partial<AuditIndexOptions> & { readonly source: EntrySource },
  work: (index: AuditIndex) => Promise<T>,
): Promise<T> {
  const index = openAuditIndex({
    file: options.file ?? (await newIndexFile()),
    origin: 'keep.test/audit',
    log: createTestLog(),
    ...options,
    tuning: { delayMs: 86_400_000, retryMs: 86_400_000, ...options.tuning },
  });
  try {
    return await work(index);
  } finally {
    await index.close();
  }
}

/** Everything, by the hour. */
export const allOf = (change: Partial<StatsQuery> = {}): StatsQuery => ({
  by: 'hour',
  split: 'decision',
  top: 10,
  ...change,
});

/** The indices of one page. */
export async function indicesOf(index: AuditIndex, query: IndexQuery): Promise<number[]> {
  return (await index.search(query)).entries.map((row) => row.index);
}
