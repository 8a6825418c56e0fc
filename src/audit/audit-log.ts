import type { Appended, Entry, EntryDraft } from './entry.ts';
import type { EntrySource } from './entry-source.ts';
import type { SpaceLevel } from './reserve.ts';

/** The audit log of a keep. */
export interface AuditLog {
  /**
   * Records an attempt. When it resolves the entry is on the disk (fdatasync has returned) and has its place; when it
   * rejects with `audit.unavailable` the action must not happen. Entries stand in the order of the calls. A draft with
   * an unknown field rejects with `audit.entry_invalid`.
   */
  append(draft: EntryDraft): Promise<Appended>;
  /**
   * Records a refusal. In a flood of strangers it is only counted, and the count recorded within a second or so: then
   * it resolves at once, with undefined.
   */
  appendRefusal(draft: EntryDraft): Promise<Appended | undefined>;
  /** Number of durable entries, deleted ones included. */
  size(): number;
  /** Index of the first entry that has not been deleted. */
  first(): number;
  /**
   * Deletes entries below an index, as far as whole bundles of 256 and everything that is not finished allow, after
   * recording that it does. Their hashes stay. Resolves with how many are gone.
   */
  prune(below: number): Promise<number>;
  /** False once a write has failed or the log was closed: every append rejects from then on. */
  available(): boolean;
  /** Why it is not available; undefined while it is. */
  reason(): string | undefined;
  /** Whether requests should come here, and why not, in words fit for a stranger. */
  readiness(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** When it is not `ample`, whatever can be made again should stop to write: indices, exports. */
  space(): SpaceLevel;
  /** A signed checkpoint (C2SP tlog-checkpoint) that covers everything durable at the time of the call. */
  checkpoint(): Promise<string>;
  /** What a verifier needs besides the files: the public key as a C2SP verifier key. */
  readonly vkey: string;
  /** While the log changes its key, the old verifier key follows the present one. That of ML-DSA-44 comes last. */
  vkeys(): readonly string[];
  /** Newest first; see `EntryPage.before` for how to go on. */
  entries(query: EntryQuery): Promise<EntryPage>;
  /** The entry with its source readable, where the key of its month has not been erased; else as it is. */
  reveal(entry: Entry): Entry;
  /** The entry at `index`, or undefined beyond the end. */
  entry(index: number): Promise<IndexedEntry | undefined>;
  /** Starts without an end, as found when the log was opened, oldest first. */
  unfinished(): readonly UnfinishedEntry[];
  /** For those who follow the log. Entries that were deleted are passed over. */
  readonly source: EntrySource;
  /** Seals everything durable, then checks every byte of the log against the signed checkpoint. */
  verify(): Promise<Verification>;
  /** Waits for pending appends, seals, and releases the files. Later appends reject. */
  close(): Promise<void>;
}

/** All given conditions hold together. */
export interface EntryQuery {
  /** Id or name of the principal. */
  readonly principal?: string;
  /** `model.invoke`, or `model.*` for every action on models. */
  readonly action?: string;
  /** A node of the resource tree; its subtree matches too. */
  readonly resource?: string;
  readonly decision?: Entry['decision'];
  /** Milliseconds since 1970 UTC; `from` is included, `to` is not. */
  readonly from?: number;
  readonly to?: number;
  /** At most this many entries; default 100, at most 1000. */
  readonly limit?: number;
  /** Only entries with a smaller index. */
  readonly before?: number;
  /** Only entries with a greater index: what a tail asks for. */
  readonly after?: number;
}

export interface IndexedEntry {
  readonly index: number;
  /** RFC 6962 leaf hash of the stored bytes. */
  readonly leaf: Uint8Array;
  readonly entry: Entry;
}

export interface EntryPage {
  readonly entries: readonly IndexedEntry[];
  /**
   * Ask again with this to go on. Absent at the start of the log. A page may hold fewer entries than the limit, even
   * none, and still have it: one call reads a bounded part of the log.
   */
  readonly before?: number;
}

export interface UnfinishedEntry {
  readonly index: number;
  readonly id: string;
  readonly entry: Entry;
}

/** What a check of the whole log found. */
export interface Verification {
  readonly ok: boolean;
  /** Entries under the signed checkpoint. */
  readonly size: number;
  /** Signed root hash, base64; empty if no checkpoint could be read. */
  readonly root: string;
  /** Entries in the write-ahead log that no checkpoint covers yet; their checksums are good, nothing signs them. */
  readonly unsealed: number;
  /** First the ones with the smallest index. At most 100 are listed. */
  readonly problems: readonly VerificationProblem[];
  /**
   * Verifier keys to trust from now on: entries of this log, under a signature that was checked, name them as successors
   * of a key that was given. Absent if there are none.
   */
  readonly successors?: readonly string[];
}

export interface VerificationProblem {
  readonly kind: 'checkpoint' | 'entry' | 'tile' | 'wal' | 'state';
  /** First entry that is wrong, where one can be named. */
  readonly index?: number;
  /** Path below the log directory. */
  readonly file: string;
  readonly message: string;
}

/** Entries checked so far, of how many. */
export interface VerificationProgress {
  readonly checked: number;
  readonly size: number;
}
