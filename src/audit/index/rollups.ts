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
import { createNames } from './names.ts';
import { createTallies, type Part, type TallyKind } from './tallies.ts';

/** Entries are counted while they are indexed, so that a chart reads hundreds of rows and not millions. */
interface Rollups {
  /** Inside the transaction of the batch. */
  add(entries: readonly Entry[], times: readonly number[]): void;
  /** Forgets what was added in a transaction that was rolled back. */
  reload(): void;
  read(query: StatsQuery): Stats;
}

/** `start` counts units since 1970 UTC. */
export const ROLLUP_TABLES = `
  create table rollup (unit integer, start integer, action integer, decision text, reason integer,
    n integer not null, primary key (unit, start, action, decision, reason)) strict, without rowid;
`;

const UNITS = [HOUR_MS, DAY_MS] as const;
const DECISIONS: readonly Entry['decision'][] = ['allow', 'deny', 'error'];
const POINTS_MAX = 5000;
/** What is later than any time that an entry can have. */
const NEVER_MS = Math.floor(8.64e15 / DAY_MS) * DAY_MS;

type Row = Readonly<Record<string, unknown>>;

export function createRollups(database: DatabaseSync): Rollups {
  const names = createNames(database);
  const tallies = createTallies(database, names);
  const addRollup = database.prepare(
    'insert into rollup values (?, ?, ?, ?, ?, ?) on conflict do update set n = n + excluded.n',
  );
  const extent = database.prepare(
    'select min(start) as first, max(start) as last from rollup where unit = ?',
  );

  return {
    add(entries, times) {
      const counts = new Map<string, Count>();
      for (const [at, { action, decision, reason, principal, resource }] of entries.entries()) {
        const hour = Math.floor((times[at] ?? 0) / HOUR_MS);
        count(counts, hour, names.idOf(action), decision, names.idOf(reason));
        tallies.count('principal', names.idOf(principalKey(principal)), decision, hour);
        if (resource !== undefined) tallies.count('resource', names.idOf(resource), decision, hour);
      }
      for (const unit of UNITS) {
        for (const { hour, action, decision, reason, n } of counts.values())
          addRollup.run(unit, startOf(hour, unit), action, decision, reason, n);
      }
      tallies.write();
    },
    reload() {
      names.forget();
      tallies.forget();
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
        actions: readTop('action', parts, where, query.top),
        reasons: readTop('reason', parts, where, query.top),
        principals: top('principal', query, parts).map(asPrincipal),
        resources: top('resource', query, parts),
      };
    },
  };

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
    const parts: readonly Part[] = by === 'day' ? partsOf(from, to) : [{ unit: HOUR_MS, from, to }];
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

  function top(kind: TallyKind, query: StatsQuery, parts: readonly Part[]): readonly Counted[] {
    const decisions = query.decision === undefined ? DECISIONS : [query.decision];
    return tallies.top(kind, { decisions, parts, limit: query.top });
  }

  function readTop(
    column: 'action' | 'reason',
    parts: readonly Part[],
    where: Condition,
    limit: number,
  ): readonly Counted[] {
    const select = parts.map(
      () => `select ${column} as id, n from rollup where unit = ? and start >= ? and start < ?${where.sql}`,
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
  readonly action: number;
  readonly decision: Entry['decision'];
  readonly reason: number;
  n: number;
}

function count(
  counts: Map<string, Count>,
  hour: number,
  action: number,
  decision: Entry['decision'],
  reason: number,
): void {
  const key = `${hour} ${action} ${decision} ${reason}`;
  const known = counts.get(key);
  if (known === undefined) counts.set(key, { hour, action, decision, reason, n: 1 });
  else known.n++;
}

function startOf(hour: number, unit: number): number {
  return Math.floor((hour * HOUR_MS) / unit);
}

/** Whole days as days, what is left at either end as hours. */
function partsOf(from: number, to: number): readonly Part[] {
  const first = Math.ceil(from / DAY_MS) * DAY_MS;
  const last = Math.floor(to / DAY_MS) * DAY_MS;
  if (first >= last) return [{ unit: HOUR_MS, from, to }];
  const parts: readonly Part[] = [
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
