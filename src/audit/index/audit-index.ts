import type { Log } from '../../kernel/log.ts';
import type { EntryPage } from '../audit-log.ts';
import type { EntrySource } from '../entry-source.ts';
import { createIndexer } from './indexer.ts';
import type { Stats, StatsQuery } from './protocol.ts';
import type { IndexQuery, Reveal } from './query.ts';
import { createSearch } from './search.ts';

/** The search index of a log: rebuilt from it at will, never evidence, never in the way of a request. */
export interface AuditIndex {
  /**
   * Newest first, over everything durable at the call. Each entry was read from the log and held against the query, so
   * a damaged index can hide entries but not make any up. A page may hold fewer entries than the limit, even none, and
   * still have `before`: one call looks at a bounded part of the log.
   */
  search(query: IndexQuery): Promise<EntryPage>;
  stats(query: StatsQuery): Promise<IndexStats>;
  /** Resolves when everything durable at the call is indexed. Rejects if it cannot be. */
  settle(): Promise<void>;
  status(): IndexStatus;
  /**
   * Call when entries of `month` (`2026-01`) can no longer be revealed. When it resolves the old index is gone; a new
   * one is made from what can still be revealed, in the background.
   */
  forget(month: string): Promise<void>;
  /** Finishes the batch in hand. The rest is indexed when the index is opened again. */
  close(): Promise<void>;
}

export interface IndexStats extends Stats {
  /** Entries counted, of how many durable ones. Equal but while an index is being built. */
  readonly indexed: number;
  readonly size: number;
}

export interface IndexStatus {
  readonly indexed: number;
  readonly size: number;
  /** Batches and starts that failed since the index was opened. */
  readonly failures: number;
}

export interface AuditIndexOptions {
  /** `audit-index.db` of the keep. */
  readonly file: string;
  /** Name of the log. */
  readonly origin: string;
  readonly source: EntrySource;
  readonly log: Log;
  /** Default: nothing is sealed. */
  readonly reveal?: Reveal;
  /** False while the disk is too full for what can be rebuilt. */
  readonly mayWrite?: () => boolean;
  readonly tuning?: Partial<IndexTuning>;
}

export interface IndexTuning {
  /** Entries wait at most this long for others to be indexed with, milliseconds. */
  readonly delayMs: number;
  /** After a failure, milliseconds. */
  readonly retryMs: number;
  /** Entries in one transaction. */
  readonly batch: number;
  /** A search indexes so many entries first, if they are missing; with more missing it reads the log instead. */
  readonly catchUpMax: number;
  /** One search reads at most so many entries that are not indexed. */
  readonly scanMax: number;
}

const TUNING: IndexTuning = {
  delayMs: 250,
  retryMs: 30_000,
  batch: 4096,
  catchUpMax: 16_384,
  scanMax: 16_384,
};

/** Returns at once: the file is opened, checked and brought up to date in the background, in a thread of its own. */
export function openAuditIndex(options: AuditIndexOptions): AuditIndex {
  const { source, log, reveal = (entry) => entry } = options;
  const tuning = { ...TUNING, ...options.tuning };
  const indexer = createIndexer({ ...options, reveal, tuning });
  const search = createSearch({ source, reveal, indexer, tuning });
  return {
    search,
    async stats(query) {
      const size = source.size();
      if (size - indexer.applied() <= tuning.catchUpMax) await indexer.catchUp().catch(() => {});
      const stats = await indexer.stats(query);
      return { ...stats, indexed: indexer.applied(), size: Math.max(size, indexer.applied()) };
    },
    async settle() {
      const size = source.size();
      await indexer.catchUp();
      if (indexer.applied() < size)
        throw new Error(`the index ends at entry ${indexer.applied()} of ${size}`);
    },
    status: () => ({ indexed: indexer.applied(), size: source.size(), failures: indexer.failures() }),
    async forget(month) {
      log.info('audit.index_forgets', { month });
      await indexer.rebuild();
    },
    close: () => indexer.close(),
  };
}
