import type { DatabaseSync } from 'node:sqlite';
import { packNumbers, unpackNumbers } from './numbers.ts';
import { packPages, readTerm } from './page.ts';
import { type Bits, BLOCK, intersect, noBits, positionsDown, setPositions } from './positions.ts';
import type { Found } from './protocol.ts';

/** Which entries have which terms. Terms are keys of 31 bits (see terms.ts). */
interface Postings {
  /** Entries that follow those before, each with the keys of its terms. Inside the transaction of the batch. */
  add(from: number, entries: readonly (readonly number[])[]): void;
  /** Forgets what was added in a transaction that was rolled back. Throws `IndexDamage`. */
  reload(): void;
  /** Entries that have all the terms. Throws `IndexDamage`. */
  find(keys: readonly number[], range: FindRange): Found;
}

interface FindRange {
  /** Indices `floor` to `end - 1`. */
  readonly floor: number;
  readonly end: number;
  readonly limit: number;
  /** Asked after each block: true to leave the rest to another call. */
  readonly isEnough: () => boolean;
}

/**
 * `page`: the terms of each full block, see page.ts; `id` is block * 2^31 + the first key in the page, so that one step
 * down the tree finds the only page of a block that may hold a term.
 * `recent`: the keys of the entries of the last block as they came, one row a batch. They are held in memory, and packed
 * when the block is full: a batch never rewrites what another one wrote.
 */
export const POSTING_TABLES = `
  create table page (id integer primary key, bytes blob not null) strict;
  create table recent (first integer primary key, bytes blob not null) strict;
`;

const KEYS = 2 ** 31;

export function createPostings(database: DatabaseSync): Postings {
  /** The block that is not full yet: positions by key. */
  const open = new Map<number, number[]>();
  let openBlock = 0;
  const all = noBits();
  const one = noBits();
  const addPage = database.prepare('insert into page values (?, ?)');
  const addRecent = database.prepare('insert into recent values (?, ?)');
  const clearRecent = database.prepare('delete from recent');
  const readRecent = database.prepare('select first, bytes from recent order by first');
  const pageOf = database.prepare('select id, bytes from page where id <= ? order by id desc limit 1');
  load();

  return {
    add(from, entries) {
      let first = from;
      let recent: number[] = [];
      for (const [at, keys] of entries.entries()) {
        const index = from + at;
        insert(index, keys);
        recent.push(keys.length);
        for (const key of keys) recent.push(key);
        if (index % BLOCK < BLOCK - 1) continue;
        seal();
        first = index + 1;
        recent = [];
      }
      if (recent.length > 0) addRecent.run(first, packNumbers(recent));
    },
    reload: load,
    find(keys, { floor, end, limit, isEnough }) {
      const asked = [...keys];
      const indices: number[] = [];
      for (let top = end; top > floor; ) {
        const block = Math.floor((top - 1) / BLOCK);
        const start = block * BLOCK;
        const low = Math.max(floor, start);
        if (meet(block, asked)) {
          const range = { low: low - start, high: top - 1 - start, limit: limit - indices.length };
          for (const position of positionsDown(all, range)) indices.push(start + position);
        }
        if (indices.length === limit) return { indices, floor: indices.at(-1) ?? low };
        if (low > floor && isEnough()) return { indices, floor: low };
        top = low;
      }
      return { indices, floor };
    },
  };

  function load(): void {
    open.clear();
    openBlock = 0;
    for (const row of readRecent.iterate()) {
      let index = Number(row['first']);
      const numbers = unpackNumbers(row['bytes'] as Uint8Array);
      for (let at = 0; at < numbers.length; index++) {
        const end = at + 1 + (numbers[at] ?? 0);
        insert(index, numbers.slice(at + 1, end));
        at = end;
      }
    }
  }

  function insert(index: number, keys: Iterable<number>): void {
    openBlock = Math.floor(index / BLOCK);
    const position = index % BLOCK;
    for (const key of keys) {
      const positions = open.get(key);
      if (positions === undefined) open.set(key, [position]);
      else if (positions.at(-1) !== position) positions.push(position);
    }
  }

  function seal(): void {
    const keys = Uint32Array.from(open.keys()).sort();
    const terms = keys.values().map((key) => ({ key, positions: open.get(key) ?? [] }));
    for (const { firstKey, bytes } of packPages(terms)) addPage.run(openBlock * KEYS + firstKey, bytes);
    clearRecent.run();
    open.clear();
  }

  /** Leaves in `all` the entries of the block that have all the terms; false if there are none. */
  function meet(block: number, asked: number[]): boolean {
    for (const [at, key] of asked.entries()) {
      const bits = at === 0 ? all : one;
      if (read(block, key, bits) && (at === 0 || intersect(all, bits))) continue;
      // What ruled this block out will rule out others: it is asked first.
      asked.unshift(...asked.splice(at, 1));
      return false;
    }
    return true;
  }

  function read(block: number, key: number, bits: Bits): boolean {
    if (block === openBlock && open.size > 0) {
      const positions = open.get(key);
      if (positions !== undefined) setPositions(positions, bits);
      return positions !== undefined;
    }
    const row = pageOf.get(block * KEYS + key);
    const firstKey = Number(row?.['id']) - block * KEYS;
    // A page of an earlier block, or none at all.
    if (!(firstKey >= 0)) return false;
    return readTerm({ firstKey, bytes: row?.['bytes'] as Uint8Array }, key, bits);
  }
}
