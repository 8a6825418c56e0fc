import type { DatabaseSync } from 'node:sqlite';
import type { Entry } from '../entry.ts';
import type { Names } from './names.ts';
import { assertIntact, CHECK_BYTES, createNumberReader, packNumbers } from './numbers.ts';
import { type Counted, DAY_MS, HOUR_MS } from './protocol.ts';

export type TallyKind = 'principal' | 'resource';

/** From `from` to before `to`, milliseconds, both whole units. */
export interface Part {
  readonly unit: typeof HOUR_MS | typeof DAY_MS;
  readonly from: number;
  readonly to: number;
}

/** How often each principal and each resource stands in entries. */
interface Tallies {
  /** `hour`: whole hours since 1970 UTC. */
  count(kind: TallyKind, name: number, decision: Entry['decision'], hour: number): void;
  /** Inside the transaction of the batch that was counted. */
  write(): void;
  /** Forgets what was counted in a transaction that was rolled back. */
  forget(): void;
  /** The most frequent names, most first, those equally frequent by their text. Throws `IndexDamage`. */
  top(kind: TallyKind, query: TopQuery): readonly Counted[];
}

interface TopQuery {
  readonly decisions: readonly Entry['decision'][];
  readonly parts: readonly Part[];
  readonly limit: number;
}

/**
 * `tally`: the hour in hand, a row a name, so that a batch writes only the names in it.
 * `past`: other hours, and days of those, each packed: thousands of names are read in a fraction of a millisecond.
 * Names ascending, as gaps, each followed by its count; see numbers.ts.
 */
export const TALLY_TABLES = `
  create table tally (hour integer, kind text, decision text, name integer, n integer not null,
    primary key (hour, kind, decision, name)) strict, without rowid;
  create table past (id integer primary key, unit integer not null, kind text not null, decision text not null,
    start integer not null, bytes blob not null, unique (unit, kind, decision, start)) strict;
`;

const UNITS = [HOUR_MS, DAY_MS] as const;

type Counts = Map<number, number>;

export function createTallies(database: DatabaseSync, names: Pick<Names, 'last' | 'textOf'>): Tallies {
  /** Of the batch, by hour, kind and decision. */
  let batch = new Map<string, Group>();
  /** The hour in hand; undefined until the first batch. */
  let current: number | undefined;
  /** Of the entry counted last. */
  let last: number | undefined;
  const add = database.prepare(
    'insert into tally values (?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n',
  );
  const ended = database.prepare('select * from tally where hour <> ? order by hour, kind, decision, name');
  const remove = database.prepare('delete from tally where hour <> ?');
  const packed = database.prepare(
    'select bytes from past where unit = ? and kind = ? and decision = ? and start = ?',
  );
  const writePacked =
    database.prepare(`insert into past (unit, kind, decision, start, bytes) values (?, ?, ?, ?, ?)
    on conflict do update set bytes = excluded.bytes`);
  const packedFrom = database.prepare(
    'select bytes from past where unit = ? and kind = ? and decision = ? and start >= ? and start < ?',
  );
  const currentFrom = database.prepare(
    'select name, n from tally where kind = ? and decision = ? and hour >= ? and hour < ?',
  );

  return {
    count(kind, name, decision, hour) {
      const { counts } = groupOf(batch, hour, kind, decision);
      counts.set(name, (counts.get(name) ?? 0) + 1);
      last = hour;
    },
    write() {
      const groups = batch;
      batch = new Map();
      if (last !== undefined && last !== current) {
        for (const row of ended.iterate(last)) {
          const { kind, decision } = row as unknown as Group;
          const { counts } = groupOf(groups, Number(row['hour']), kind, decision);
          addTo(counts, Number(row['name']), Number(row['n']));
        }
        remove.run(last);
        current = last;
      }
      for (const { hour, kind, decision, counts } of groups.values()) {
        if (hour !== current) pack(hour, kind, decision, counts);
        else for (const [name, n] of counts) add.run(hour, kind, decision, name, n);
      }
    },
    forget() {
      batch = new Map();
      current = undefined;
    },
    top(kind, { decisions, parts, limit }) {
      const totals = new Float64Array(names.last() + 1);
      const addToTotal = (name: number, n: number): void => {
        totals[name] = (totals[name] ?? 0) + n;
      };
      for (const decision of decisions) {
        for (const { unit, from, to } of parts) {
          for (const row of packedFrom.iterate(unit, kind, decision, from / unit, to / unit))
            forEachCount(row['bytes'] as Uint8Array, addToTotal);
          for (const row of currentFrom.iterate(kind, decision, from / HOUR_MS, to / HOUR_MS))
            addToTotal(Number(row['name']), Number(row['n']));
        }
      }
      const least =
        totals
          .filter((n) => n > 0)
          .toSorted()
          .at(-limit) ?? 1;
      const found: Counted[] = [];
      for (const [id, count] of totals.entries())
        if (count >= least) found.push({ name: names.textOf(id), count });
      return found.toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1)).slice(0, limit);
    },
  };

  function pack(hour: number, kind: TallyKind, decision: Entry['decision'], counts: Counts): void {
    for (const unit of UNITS) {
      const key = [unit, kind, decision, Math.floor((hour * HOUR_MS) / unit)] as const;
      const totals = new Map(counts);
      const known = packed.get(...key);
      if (known !== undefined)
        forEachCount(known['bytes'] as Uint8Array, (name, n) => addTo(totals, name, n));
      writePacked.run(...key, packCounts(totals));
    }
  }
}

interface Group {
  readonly hour: number;
  readonly kind: TallyKind;
  readonly decision: Entry['decision'];
  readonly counts: Counts;
}

function groupOf(
  groups: Map<string, Group>,
  hour: number,
  kind: TallyKind,
  decision: Entry['decision'],
): Group {
  const key = `${hour} ${kind} ${decision}`;
  const known = groups.get(key);
  if (known !== undefined) return known;
  const group = { hour, kind, decision, counts: new Map<number, number>() };
  groups.set(key, group);
  return group;
}

function addTo(counts: Counts, name: number, n: number): void {
  counts.set(name, (counts.get(name) ?? 0) + n);
}

function packCounts(counts: Counts): Uint8Array {
  const numbers: number[] = [];
  let previous = 0;
  for (const name of Uint32Array.from(counts.keys()).sort()) {
    numbers.push(name - previous, counts.get(name) ?? 0);
    previous = name;
  }
  return packNumbers(numbers);
}

function forEachCount(bytes: Uint8Array, visit: (name: number, n: number) => void): void {
  assertIntact(bytes);
  const reader = createNumberReader(bytes, CHECK_BYTES);
  let name = 0;
  while (reader.at < bytes.length) {
    name += reader.next();
    visit(name, reader.next());
  }
}
