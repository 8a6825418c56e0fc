import { randomInt } from 'node:crypto';
import { rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import type { Clock } from '../../kernel/clock.ts';
import type { Entry } from '../entry.ts';
import { IndexDamage } from './numbers.ts';
import { createPostings, POSTING_TABLES } from './postings.ts';
import type { Batch, FindRequest, Found, Opened, Stats, StatsQuery } from './protocol.ts';
import { NAME_TABLES } from './names.ts';
import { createRollups, ROLLUP_TABLES } from './rollups.ts';
import { TALLY_TABLES } from './tallies.ts';
import { createSpans, SPAN_TABLES } from './spans.ts';
import { createKeyOf, createTermWriter } from './terms.ts';

/** The index in its file. Everything is synchronous: it runs in a thread of its own. */
export interface IndexStore {
  readonly opened: Opened;
  /** Entries in the index. */
  applied(): number;
  /** All of the batch is in the index when it returns, or, if it throws, nothing. */
  apply(batch: Batch): void;
  find(request: FindRequest): Found;
  stats(query: StatsQuery): Stats;
  close(): void;
}

export interface IndexStoreOptions {
  readonly file: string;
  /** Name of the log: an index of another one is thrown away. */
  readonly origin: string;
  readonly clock: Pick<Clock, 'monotonic'>;
}

/** Another layout is another version: an index of an older one is thrown away. */
const VERSION = 2;

/** `seed`: of the keys of terms. */
const TABLES = `
  create table meta (one integer primary key check (one = 1), origin text not null, seed integer not null,
    applied integer not null, leaf text not null, is_closed integer not null) strict;
  ${POSTING_TABLES}
  ${SPAN_TABLES}
  ${NAME_TABLES}
  ${ROLLUP_TABLES}
  ${TALLY_TABLES}
  pragma user_version = ${VERSION};
`;

const SEEDS = 2 ** 32;
const SEARCH_MS_MAX = 200;
/** A larger index, if it was closed as it should be, is not read through when it is opened: that takes seconds. */
const PAGES_CHECKED_MAX = 8192;

/** Opens the index at `file`, whose directory is there. One that cannot be used, or is of another log, is thrown away and begun again. */
export function openIndexStore(options: IndexStoreOptions): IndexStore {
  const { file, origin } = options;
  const earlier = openDatabase(file);
  let discarded = earlier.database === undefined ? earlier.unusable : unusable(earlier.database, origin);
  if (earlier.database !== undefined && discarded === undefined) {
    try {
      return useStore(earlier.database, options);
    } catch (error) {
      if (!isCorruption(error)) throw error;
      discarded = `it is damaged: ${(error as Error).message}`;
    }
  }
  earlier.database?.close();
  removeIndex(file);
  const { database, unusable: reason } = openDatabase(file);
  if (database === undefined) throw new Error(`the search index cannot be made: ${reason}`);
  try {
    database.exec('begin');
    database.exec(TABLES);
    database.prepare("insert into meta values (1, ?, ?, 0, '', 1)").run(origin, randomInt(SEEDS));
    database.exec('commit');
    return useStore(database, options, discarded === '' ? undefined : discarded);
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Removes the file and what SQLite keeps beside it. */
export function removeIndex(file: string): void {
  for (const each of [file, `${file}-wal`, `${file}-shm`]) rmSync(each, { force: true });
}

/** Claims that the file was found damaged, by us or by SQLite: SQLITE_CORRUPT or SQLITE_NOTADB. */
export function isCorruption(error: unknown): boolean {
  if (error instanceof IndexDamage) return true;
  return error instanceof Error && 'errcode' in error && [11, 26].includes(Number(error.errcode) & 0xff);
}

function openDatabase(file: string): { readonly database?: DatabaseSync; readonly unusable: string } {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file);
    // A power failure may take the last transactions; the cursor goes with them, and they are replayed.
    database.exec(`
      pragma page_size = 8192;
      pragma journal_mode = wal;
      pragma synchronous = normal;
      pragma cache_size = -32768;
      pragma trusted_schema = off;
    `);
    return { database, unusable: '' };
  } catch (error) {
    database?.close();
    if (!isCorruption(error)) throw error;
    return { unusable: `it is damaged: ${(error as Error).message}` };
  }
}

/** Why the database cannot be used; the empty text if it is new. */
function unusable(database: DatabaseSync, origin: string): string | undefined {
  try {
    const version = Number(database.prepare('pragma user_version').get()?.['user_version']);
    if (version === 0) return '';
    if (version !== VERSION) return `it has version ${version}`;
    const meta = database.prepare('select origin, is_closed from meta').get();
    if (meta?.['origin'] !== origin) return `it belongs to the log ${String(meta?.['origin'])}`;
    const { pages } = database.prepare('select page_count as pages from pragma_page_count').get() ?? {};
    if (meta['is_closed'] === 1 && Number(pages) > PAGES_CHECKED_MAX) return undefined;
    const check = String(database.prepare('pragma quick_check(1)').get()?.['quick_check']);
    return check === 'ok' ? undefined : `it is damaged: ${check}`;
  } catch (error) {
    return `it is damaged: ${(error as Error).message}`;
  }
}

function useStore(database: DatabaseSync, { clock }: IndexStoreOptions, discarded?: string): IndexStore {
  const meta = database.prepare('select applied, leaf, seed from meta').get();
  let applied = Number(meta?.['applied']);
  database.exec('update meta set is_closed = 0');
  const keyOf = createKeyOf(Number(meta?.['seed']));
  const keysOf = createTermWriter(keyOf);
  const postings = createPostings(database);
  const spans = createSpans(database);
  const rollups = createRollups(database);
  const advance = database.prepare('update meta set applied = ?, leaf = ?');

  return {
    opened: { applied, leaf: String(meta?.['leaf']), ...(discarded !== undefined && { discarded }) },
    applied: () => applied,
    apply({ from, entries, leaf }) {
      if (from !== applied)
        throw new RangeError(`the index holds ${applied} entries, so ${from} is not next`);
      const next = from + entries.length;
      const times = entries.map(timeOf);
      try {
        inTransaction(database, () => {
          postings.add(from, entries.map(keysOf));
          spans.add(from, times);
          rollups.add(entries, times);
          advance.run(next, leaf);
        });
      } catch (error) {
        postings.reload();
        rollups.reload();
        throw error;
      }
      applied = next;
    },
    find(request) {
      const { terms, limit } = request;
      const { floor, end } = spans.narrow(request);
      if (terms.length === 0) {
        const indices: number[] = [];
        for (let index = end - 1; index >= floor && indices.length < limit; index--) indices.push(index);
        return { indices, floor: indices.length === limit ? end - limit : request.floor };
      }
      const deadline = clock.monotonic() + SEARCH_MS_MAX;
      const isEnough = (): boolean => clock.monotonic() > deadline;
      const found = postings.find(terms.map(keyOf), { floor, end, limit, isEnough });
      return found.floor === floor ? { ...found, floor: request.floor } : found;
    },
    stats: (query) => rollups.read(query),
    close() {
      try {
        database.exec('update meta set is_closed = 1');
      } catch {
        // Damaged, or the disk is full: it is checked when it is opened again.
      } finally {
        database.close();
      }
    },
  };
}

function inTransaction(database: DatabaseSync, work: () => void): void {
  database.exec('begin immediate');
  try {
    work();
    database.exec('commit');
  } catch (error) {
    // On a full disk SQLite has rolled back already.
    if (database.isTransaction) database.exec('rollback');
    throw error;
  }
}

/** A time that cannot be read meets no query about time, wherever it is filed. */
function timeOf(entry: Entry): number {
  const ms = Date.parse(entry.time);
  return Number.isNaN(ms) ? 0 : ms;
}
