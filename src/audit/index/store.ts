import { rmSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import type { Clock } from '../../kernel/clock.ts';
import type { Entry } from '../entry.ts';
import { TILE_WIDTH } from '../tile.ts';
import type { Batch, FindRequest, Found, Opened, Stats, StatsQuery } from './protocol.ts';
import { createRollups, ROLLUP_TABLES } from './rollups.ts';
import { createTermWriter } from './terms.ts';

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
const VERSION = 1;
/** Terms wait in memory for the end of their transaction: a whole batch becomes one segment. */
const PENDING_BYTES = 16 << 20;

/**
 * `fts`: no text, no positions, no columns; for each term the entries that have it, 1 to 2 bytes an entry. Row id is
 * index + 1. Terms come as they are to be (see terms.ts), so the tokenizer only splits at white space.
 * `span`: the time range of each bundle, so that a range of time becomes a range of indices.
 */
const TABLES = `
  create table meta (one integer primary key check (one = 1), origin text not null, applied integer not null,
    leaf text not null, is_closed integer not null) strict;
  create table span (bundle integer primary key, first_ms integer not null, last_ms integer not null) strict;
  create virtual table fts using fts5(terms, content = '', columnsize = 0, detail = none,
    tokenize = "ascii tokenchars '!#$%&()*+,-./:;<=>?@[\\]^_\`{|}~'");
  ${ROLLUP_TABLES}
  pragma user_version = ${VERSION};
`;

/** Asking a common term for one entry reads half a leaf: small leaves make questions of several terms fast. */
const LEAF_BYTES = 512;
/** One search looks at so many entries, then at the clock. */
const WINDOW = 1 << 20;
const SEARCH_MS_MAX = 200;
const PROBES = 32;
/** A larger index, if it was closed as it should be, is not read through when it is opened: that takes seconds. */
const PAGES_CHECKED_MAX = 8192;

/** Opens the index at `file`, whose directory is there. One that cannot be used, or is of another log, is thrown away and begun again. */
export function openIndexStore(options: IndexStoreOptions): IndexStore {
  const { file, origin } = options;
  const earlier = openDatabase(file);
  const discarded = earlier.database === undefined ? earlier.unusable : unusable(earlier.database, origin);
  if (earlier.database !== undefined && discarded === undefined) return useStore(earlier.database, options);
  earlier.database?.close();
  removeIndex(file);
  const { database, unusable: reason } = openDatabase(file);
  if (database === undefined) throw new Error(`the search index cannot be made: ${reason}`);
  try {
    database.exec('begin');
    database.exec(TABLES);
    database.exec(
      `insert into fts (fts, rank) values ('hashsize', ${PENDING_BYTES}), ('pgsz', ${LEAF_BYTES})`,
    );
    database.prepare('insert into meta values (1, ?, 0, ?, 1)').run(origin, '');
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

/** Claims that SQLite found the file damaged: SQLITE_CORRUPT or SQLITE_NOTADB. */
export function isCorruption(error: unknown): boolean {
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
  const meta = database.prepare('select applied, leaf from meta').get();
  let applied = Number(meta?.['applied']);
  database.exec('update meta set is_closed = 0');
  const termsOf = createTermWriter();
  const rollups = createRollups(database);
  const insert = database.prepare('insert into fts (rowid, terms) values (?, ?)');
  const widen = database.prepare(`insert into span values (?, ?, ?) on conflict do update set
    first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)`);
  const advance = database.prepare('update meta set applied = ?, leaf = ?');
  const match = database.prepare(
    'select rowid from fts where fts match ? and rowid between ? and ? order by rowid desc limit ?',
  );
  const spans = database.prepare(
    'select min(bundle) as first, max(bundle) as last from span where last_ms >= ? and first_ms < ?',
  );

  return {
    opened: { applied, leaf: String(meta?.['leaf']), ...(discarded !== undefined && { discarded }) },
    applied: () => applied,
    apply({ from, entries, leaf }) {
      if (from !== applied)
        throw new RangeError(`the index holds ${applied} entries, so ${from} is not next`);
      const next = from + entries.length;
      inTransaction(database, () => {
        const times = new Map<number, [number, number]>();
        for (const [at, entry] of entries.entries()) {
          insert.run(from + at + 1, termsOf(entry));
          const ms = timeOf(entry);
          const bundle = Math.floor((from + at) / TILE_WIDTH);
          const [first, last] = times.get(bundle) ?? [ms, ms];
          times.set(bundle, [Math.min(first, ms), Math.max(last, ms)]);
        }
        for (const [bundle, [first, last]] of times) widen.run(bundle, first, last);
        rollups.add(entries, timeOf);
        advance.run(next, leaf);
      });
      applied = next;
    },
    find(request) {
      const { terms, limit } = request;
      const { floor, end } = narrow(request, spans);
      const found: number[] = [];
      if (terms.length === 0) {
        for (let index = end - 1; index >= floor && found.length < limit; index--) found.push(index);
        return { indices: found, floor: found.length === limit ? end - limit : request.floor };
      }
      const text = rarestFirst(terms, floor, end);
      const deadline = clock.monotonic() + SEARCH_MS_MAX;
      for (let top = end; top > floor; ) {
        const low = Math.max(floor, top - WINDOW);
        // As integers: FTS5 takes a bound that is a float for none.
        const rows = match.all(text, BigInt(low + 1), BigInt(top), limit - found.length);
        for (const row of rows) found.push(Number(row['rowid']) - 1);
        if (found.length === limit) return { indices: found, floor: found.at(-1) ?? low };
        if (low > floor && clock.monotonic() > deadline) return { indices: found, floor: low };
        top = low;
      }
      return { indices: found, floor: request.floor };
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

  /**
   * FTS5 walks along the first term and asks the others, so the order decides whether it looks at a hundred entries or
   * at all. How far down the newest few entries of each term reach tells how rare it is.
   */
  function rarestFirst(terms: readonly string[], floor: number, end: number): string {
    const quoted = terms.map((term) => `"${term}"`);
    if (quoted.length === 1 || end <= floor) return quoted.join('');
    const reach = quoted.map((term) => {
      const rows = match.all(term, BigInt(floor + 1), BigInt(end), PROBES);
      const depth = rows.length < PROBES ? end - floor : end - Number(rows.at(-1)?.['rowid']) + 1;
      return { term, share: rows.length / depth };
    });
    return reach
      .toSorted((a, b) => a.share - b.share)
      .map(({ term }) => term)
      .join(' AND ');
  }
}

/** The part of the range whose bundles hold times in question. */
function narrow(
  { from, to, floor, end }: FindRequest,
  spans: StatementSync,
): { readonly floor: number; readonly end: number } {
  if (from === undefined && to === undefined) return { floor, end };
  const range: SQLInputValue[] = [from ?? -Number.MAX_SAFE_INTEGER, to ?? Number.MAX_SAFE_INTEGER];
  const row = spans.get(...range);
  if (row?.['first'] === null || row?.['first'] === undefined) return { floor, end: floor };
  return {
    floor: Math.max(floor, Number(row['first']) * TILE_WIDTH),
    end: Math.min(end, (Number(row['last']) + 1) * TILE_WIDTH),
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
