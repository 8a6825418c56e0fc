import type { DatabaseSync, SQLInputValue } from 'node:sqlite';
import type { Entry, EntryPrincipal } from '../entry.ts';
import {
  type Counted,
  type CountedPrincipal,
  DAY_MS,
  HOUR_MS,
  type Stats,
  type StatsQuery,
} from './protocol.ts';

/** Entries are counted while they are indexed, so that a chart reads hundreds of rows and not millions. */
interface Rollups {
  /** Inside the transaction of the batch. */
  add(entries: readonly Entry[], timeOf: (entry: Entry) => number): void;
  read(query: StatsQuery): Stats;
}

/** `start` counts units since 1970 UTC. `tally.kind`: 0 principal, 1 resource. */
export const ROLLUP_TABLES = `
  create table name (id integer primary key, text text not null unique) strict;
  create table rollup (unit integer, start integer, action integer, decision text, reason integer,
    n integer not null, primary key (unit, start, action, decision, reason)) strict, without rowid;
  create table tally (unit integer, kind integer, decision text, start integer, name integer,
    n integer not null, primary key (unit, kind, decision, start, name)) strict, without rowid;
`;

const UNITS = [HOUR_MS, DAY_MS] as const;
const KIND = { principal: 0, resource: 1 } as const;
const DECISIONS: readonly Entry['decision'][] = ['allow', 'deny', 'error'];
const POINTS_MAX = 5000;
const NAMES_REMEMBERED = 50_000;
/** What is later than any time that an entry can have. */
const NEVER_MS = Math.floor(8.64e15 / DAY_MS) * DAY_MS;

type Row = Readonly<Record<string, unknown>>;

export function createRollups(database: DatabaseSync): Rollups {
  let names = new Map<string, number>();
  const findName = database.prepare('select id from name where text = ?');
  const addName = database.prepare('insert into name (text) values (?) on conflict do nothing');
  const addRollup = database.prepare(
    'insert into rollup values (?, ?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n',
  );
  const addTally = database.prepare(
    'insert into tally values (?, ?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n',
  );
  const extent = database.prepare(
    'select min(start) as first, max(start) as last from rollup where unit = ?',
  );

  return {
    add(entries, timeOf) {
      // A name given out in a transaction that was rolled back has no row.
      names = new Map();
      const rollups = new Map<string, Count>();
      const tallies = new Map<string, Count>();
      for (const entry of entries) {
        const { decision, resource } = entry;
        const hour = Math.floor(timeOf(entry) / HOUR_MS);
        const principal = idOf(principalKey(entry.principal));
        count(rollups, hour, idOf(entry.action), decision, idOf(entry.reason));
        count(tallies, hour, KIND.principal, decision, principal);
        if (resource !== undefined) count(tallies, hour, KIND.resource, decision, idOf(resource));
      }
      for (const unit of UNITS) {
        for (const { hour, first, decision, second, n } of rollups.values())
          addRollup.run(unit, startOf(hour, unit), first, decision, second, n);
        for (const { hour, first, decision, second, n } of tallies.values())
          addTally.run(unit, first, decision, startOf(hour, unit), second, n);
      }
    },
    read(query) {
      const range = extentOf(query);
      if (range === undefined) return EMPTY;
      const where = condition(query);
      const parts = partsOf(range.from, range.to);
      const series = readSeries(query, range, where);
      return {
        ...range,
        ...series,
        total: readTotal(parts, where),
        actions: readTop('rollup', 'action', parts, where, query.top),
        reasons: readTop('rollup', 'reason', parts, where, query.top),
        principals: tally(KIND.principal, query, parts).map(asPrincipal),
        resources: tally(KIND.resource, query, parts),
      };
    },
  };

  function idOf(text: string): number {
    const known = names.get(text);
    if (known !== undefined) return known;
    let row = findName.get(text);
    if (row === undefined) {
      addName.run(text);
      row = findName.get(text);
    }
    const id = Number(row?.['id']);
    if (names.size >= NAMES_REMEMBERED) names.clear();
    names.set(text, id);
    return id;
  }

  /** Whole hours, no wider than what is recorded. */
  function extentOf({ from, to }: StatsQuery): { readonly from: number; readonly to: number } | undefined {
    const row = extent.get(HOUR_MS);
    if (row?.['first'] === null || row?.['first'] === undefined) return undefined;
    const first = Math.max(Number(row['first']), Math.floor((from ?? -NEVER_MS) / HOUR_MS));
    const last = Math.min(Number(row['last']) + 1, Math.ceil((to ?? NEVER_MS) / HOUR_MS));
    return first < last ? { from: first * HOUR_MS, to: last * HOUR_MS } : undefined;
  }

  function readSeries(
    { by, split }: StatsQuery,
    { from, to }: { readonly from: number; readonly to: number },
    where: Condition,
  ): Pick<Stats, 'series' | 'isCut'> {
    const key = split === 'decision' ? 'r.k' : '(select text from name where id = r.k)';
    // By the day, too, the ends may be hours: the first and the last day may not be whole.
    const parts = by === 'day' ? partsOf(from, to) : [{ unit: HOUR_MS, from, to }];
    const select = parts.map(({ unit }) => {
      const at = by === 'day' && unit === HOUR_MS ? '(start - (start % 24 + 24) % 24) / 24' : 'start';
      return `select ${at} as at, ${split} as k, n from rollup where unit = ? and start >= ? and start < ?${where.sql}`;
    });
    const rows = database
      .prepare(
        `select at, ${key} as key, n from (select at, k, sum(n) as n from (${select.join(' union all ')})
         group by at, k) as r order by at desc, key desc limit ${POINTS_MAX + 1}`,
      )
      .all(...parts.flatMap((part) => [...boundsOf(part), ...where.values])) as Row[];
    const unit = by === 'day' ? DAY_MS : HOUR_MS;
    const points = rows.slice(0, POINTS_MAX).map((row) => ({
      start: Number(row['at']) * unit,
      key: String(row['key']),
      count: Number(row['n']),
    }));
    return { series: points.reverse(), isCut: rows.length > POINTS_MAX };
  }

  function readTotal(parts: readonly Part[], where: Condition): number {
    const sum = database.prepare(
      `select sum(n) as n from rollup where unit = ? and start >= ? and start < ?${where.sql}`,
    );
    const counts = parts.map((part) => Number(sum.get(...boundsOf(part), ...where.values)?.['n'] ?? 0));
    return counts.reduce((total, each) => total + each, 0);
  }

  function tally(kind: number, { decision, top }: StatsQuery, parts: readonly Part[]): readonly Counted[] {
    const decisions = decision === undefined ? DECISIONS : [decision];
    const sql = ` and kind = ? and decision in (${decisions.map(() => '?').join(', ')})`;
    const values: SQLInputValue[] = [kind, ...decisions];
    return readTop('tally', 'name', parts, { sql, values }, top);
  }

  function readTop(
    table: string,
    column: string,
    parts: readonly Part[],
    where: Condition,
    limit: number,
  ): readonly Counted[] {
    const select = parts.map(
      () => `select ${column} as id, n from ${table} where unit = ? and start >= ? and start < ?${where.sql}`,
    );
    const rows = database
      .prepare(
        `select text, t.n as n from (select id, sum(n) as n from (${select.join(' union all ')}) group by id) as t
         join name on name.id = t.id order by t.n desc, text limit ?`,
      )
      .all(...parts.flatMap((part) => [...boundsOf(part), ...where.values]), limit) as Row[];
    return rows.map((row) => ({ name: String(row['text']), count: Number(row['n']) }));
  }
}

interface Count {
  readonly hour: number;
  readonly first: number;
  readonly decision: Entry['decision'];
  readonly second: number;
  n: number;
}

function count(
  counts: Map<string, Count>,
  hour: number,
  first: number,
  decision: Entry['decision'],
  second: number,
): void {
  const key = `${hour} ${first} ${decision} ${second}`;
  const known = counts.get(key);
  if (known === undefined) counts.set(key, { hour, first, decision, second, n: 1 });
  else known.n++;
}

function startOf(hour: number, unit: number): number {
  return Math.floor((hour * HOUR_MS) / unit);
}

interface Part {
  readonly unit: number;
  readonly from: number;
  readonly to: number;
}

/** Whole days as days, what is left at either end as hours. */
function partsOf(from: number, to: number): readonly Part[] {
  const first = Math.ceil(from / DAY_MS) * DAY_MS;
  const last = Math.floor(to / DAY_MS) * DAY_MS;
  if (first >= last) return [{ unit: HOUR_MS, from, to }];
  const parts = [
    { unit: HOUR_MS, from, to: first },
    { unit: DAY_MS, from: first, to: last },
    { unit: HOUR_MS, from: last, to },
  ];
  return parts.filter((part) => part.from < part.to);
}

function boundsOf({ unit, from, to }: Part): readonly SQLInputValue[] {
  return [unit, from / unit, to / unit];
}

interface Condition {
  readonly sql: string;
  readonly values: readonly SQLInputValue[];
}

function condition({ action, decision }: StatsQuery): Condition {
  const parts: string[] = [];
  const values: SQLInputValue[] = [];
  if (decision !== undefined) {
    parts.push(' and decision = ?');
    values.push(decision);
  }
  if (action?.endsWith('.*') === true) {
    const family = action.slice(0, -1);
    parts.push(' and action in (select id from name where text >= ? and text < ?)');
    values.push(family, `${family}\u{10ffff}`);
  } else if (action !== undefined) {
    parts.push(' and action = (select id from name where text = ?)');
    values.push(action);
  }
  return { sql: parts.join(''), values };
}

/** Kind and id tell principals apart; the name is what a person reads. */
function principalKey({ kind, id, name }: EntryPrincipal): string {
  return JSON.stringify([kind, id ?? null, name ?? null]);
}

function asPrincipal({ name: key, count: n }: Counted): CountedPrincipal {
  const [kind, id, name] = JSON.parse(key) as [EntryPrincipal['kind'], string | null, string | null];
  return { kind, ...(id !== null && { id }), ...(name !== null && { name }), count: n };
}

const EMPTY: Stats = {
  total: 0,
  series: [],
  isCut: false,
  actions: [],
  reasons: [],
  principals: [],
  resources: [],
};
