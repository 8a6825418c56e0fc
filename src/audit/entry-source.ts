import type { IndexedEntry } from './audit-log.ts';

/** The durable log as its consumers see it: the search index, detectors and sinks each move a cursor over it. */
export interface EntrySource {
  /** Number of durable entries. */
  size(): number;
  /** Entries `from`, `from + 1`, … in order, at most `limit`; fewer at the end of the log. */
  read(from: number, limit: number): Promise<readonly IndexedEntry[]>;
  /** Called, at most once per turn of the event loop, after entries became durable. Returns how to stop. */
  onGrowth(listener: () => void): () => void;
}
