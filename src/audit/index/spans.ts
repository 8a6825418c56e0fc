import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { TILE_WIDTH } from '../tile.ts';
import { BLOCK } from './positions.ts';
import type { FindRequest } from './protocol.ts';

/** When entries happened, so that a range of time becomes a range of indices. */
interface Spans {
  /** The times of entries that follow those before. Inside the transaction of the batch. */
  add(from: number, times: readonly number[]): void;
  /** From the first bundle of the range with a time in question to the last one. */
  narrow(request: FindRequest): IndexRange;
}

/** Indices `floor` to `end - 1`. */
interface IndexRange {
  readonly floor: number;
  readonly end: number;
}

/** The earliest and the latest time in each bundle and in each block: `width` entries from `place * width` on. */
export const SPAN_TABLES = `
  create table span (width integer, place integer, first_ms integer not null, last_ms integer not null,
    primary key (width, place)) strict, without rowid;
`;

const WIDTHS = [TILE_WIDTH, BLOCK];

export function createSpans(database: DatabaseSync): Spans {
  const widen = database.prepare(`insert into span values (?, ?, ?, ?) on conflict do update set
    first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)`);
  const matching = `select place from span where width = ? and place between ? and ? and last_ms >= ? and first_ms < ?`;
  const ascending = database.prepare(`${matching} order by place`);
  const descending = database.prepare(`${matching} order by place desc`);

  return {
    add(from, times) {
      for (const width of WIDTHS) {
        const spans = new Map<number, [number, number]>();
        for (const [at, ms] of times.entries()) {
          const place = Math.floor((from + at) / width);
          const [first, last] = spans.get(place) ?? [ms, ms];
          spans.set(place, [Math.min(first, ms), Math.max(last, ms)]);
        }
        for (const [place, [first, last]] of spans) widen.run(width, place, first, last);
      }
    },
    narrow({ from, to, floor, end }) {
      if (from === undefined && to === undefined) return { floor, end };
      const times = [from ?? -Number.MAX_SAFE_INTEGER, to ?? Number.MAX_SAFE_INTEGER] as const;
      const first = nearest(ascending, { floor, end }, times);
      const last = nearest(descending, { floor, end }, times);
      if (first === undefined || last === undefined) return { floor, end: floor };
      return {
        floor: Math.max(floor, first * TILE_WIDTH),
        end: Math.min(end, (last + 1) * TILE_WIDTH),
      };
    },
  };
}

/** The first bundle in the order of the statement; its block is looked for before, so that few rows are read. */
function nearest(
  statement: StatementSync,
  { floor, end }: IndexRange,
  times: readonly [number, number],
): number | undefined {
  const blocks = statement.all(BLOCK, Math.floor(floor / BLOCK), Math.floor((end - 1) / BLOCK), ...times);
  for (const block of blocks) {
    const start = Number(block['place']) * BLOCK;
    const low = Math.max(floor, start);
    const high = Math.min(end, start + BLOCK) - 1;
    const bundle = statement.get(
      TILE_WIDTH,
      Math.floor(low / TILE_WIDTH),
      Math.floor(high / TILE_WIDTH),
      ...times,
    );
    if (bundle !== undefined) return Number(bundle['place']);
  }
  return undefined;
}
