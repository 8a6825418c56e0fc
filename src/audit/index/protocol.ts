import type { Entry } from '../entry.ts';

/** Decisions, actions and names are counted by whole hours and days, UTC. */
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

export interface StatsQuery {
  /** Milliseconds since 1970 UTC; widened to whole hours. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly by: 'hour' | 'day';
  /** What the series tells apart. */
  readonly split: 'action' | 'decision' | 'reason';
  readonly action?: string | undefined;
  readonly decision?: Entry['decision'] | undefined;
  /** Names in each list of the most frequent. */
  readonly top: number;
}

export interface Stats {
  /** What was counted, milliseconds since 1970 UTC: whole hours. Absent if nothing is recorded. */
  readonly from?: number;
  readonly to?: number;
  readonly total: number;
  /** Oldest first; `start` in milliseconds since 1970 UTC. Hours and days without entries are left out. */
  readonly series: readonly { readonly start: number; readonly key: string; readonly count: number }[];
  /** The series would be longer: it holds the newest points. */
  readonly isCut: boolean;
  readonly actions: readonly Counted[];
  readonly reasons: readonly Counted[];
  /** Over all actions, whatever the query's. */
  readonly principals: readonly CountedPrincipal[];
  readonly resources: readonly Counted[];
}

export interface Counted {
  readonly name: string;
  readonly count: number;
}

export interface CountedPrincipal {
  readonly kind: Entry['principal']['kind'];
  readonly id?: string;
  readonly name?: string;
  readonly count: number;
}

/** Entries that follow each other, the first of them at `from`. */
export interface Batch {
  readonly from: number;
  readonly entries: readonly Entry[];
  /** Leaf hash of the last one, base64: how an index recognises its log. */
  readonly leaf: string;
}

export interface FindRequest {
  readonly terms: readonly string[];
  /** Milliseconds since 1970 UTC. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** Indices `floor` to `end - 1`. */
  readonly floor: number;
  readonly end: number;
  readonly limit: number;
}

export interface Found {
  /** Indices, newest first: all that may meet the query from `end - 1` down to `floor`. */
  readonly indices: readonly number[];
  /** How far down the search has come: below this nothing was looked at. */
  readonly floor: number;
}

export interface Opened {
  /** Entries in the index. */
  readonly applied: number;
  /** Leaf hash of the last of them, base64; empty for an empty index. */
  readonly leaf: string;
  /** Why an earlier index was thrown away. */
  readonly discarded?: string;
}

export interface WorkerData {
  readonly file: string;
  readonly origin: string;
}

/** `json`: arrays of entries. Parsing one text is cheaper for the sender than a structured copy. */
export type WorkerRequest =
  | { readonly kind: 'apply'; readonly from: number; readonly json: readonly string[]; readonly leaf: string }
  | { readonly kind: 'find'; readonly find: FindRequest }
  | { readonly kind: 'stats'; readonly stats: StatsQuery }
  /** Throws the index away and begins an empty one. */
  | { readonly kind: 'reset' }
  /** Not answered: the thread ends. */
  | { readonly kind: 'close' };

export type WorkerAnswer =
  | { readonly kind: 'opened'; readonly opened: Opened }
  | { readonly kind: 'applied'; readonly applied: number }
  | { readonly kind: 'found'; readonly found: Found }
  | { readonly kind: 'stats'; readonly stats: Stats }
  /** `isCorrupt`: the index was thrown away and is empty now. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isCorrupt: boolean };
