import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { TILE_WIDTH } from '../tile.ts';
import { BLOCK } from './positions.ts';
import { createSpans, SPAN_TABLES } from './spans.ts';

const SIZE = 2 * BLOCK + 3 * TILE_WIDTH + 7;
/** The clock goes on by one a entry, but for a bundle in the first block that was stamped with what comes much later. */
const LATE = { bundle: 50, by: 60_000 };
const times = Array.from({ length: SIZE }, (_, index) =>
  Math.floor(index / TILE_WIDTH) === LATE.bundle ? index + LATE.by : index,
);

describe('spans', () => {
  const database = new DatabaseSync(':memory:');
  database.exec(SPAN_TABLES);
  const spans = createSpans(database);
  for (let from = 0; from < SIZE; from += 1000) spans.add(from, times.slice(from, from + 1000));

  it('lead to the first and the last bundle with a time in question, within the range', () => {
    for (const [from, to] of [
      [0, SIZE],
      [100, 101],
      [BLOCK - 1, BLOCK + 1],
      [BLOCK, BLOCK + TILE_WIDTH],
      [LATE.by + 50 * TILE_WIDTH, LATE.by + 50 * TILE_WIDTH + 1],
      [50 * TILE_WIDTH, 50 * TILE_WIDTH + 5],
      [SIZE - 3, undefined],
      [undefined, 3],
      [SIZE * 9, SIZE * 10],
      [-9, -3],
    ] as const) {
      for (const [floor, end] of [
        [0, SIZE],
        [0, 0],
        [300, BLOCK + 300],
        [BLOCK, 2 * BLOCK],
        [51 * TILE_WIDTH, SIZE],
        [BLOCK + 5, BLOCK + 6],
      ] as const) {
        const bundles = new Set<number>();
        for (let index = 0; index < SIZE; index++) {
          const ms = times[index] ?? 0;
          if (ms >= (from ?? -Infinity) && ms < (to ?? Infinity)) bundles.add(Math.floor(index / TILE_WIDTH));
        }
        const inside = [...bundles].filter(
          (bundle) => (bundle + 1) * TILE_WIDTH > floor && bundle * TILE_WIDTH < end,
        );
        const expected =
          inside.length === 0
            ? { floor, end: floor }
            : {
                floor: Math.max(floor, Math.min(...inside) * TILE_WIDTH),
                end: Math.min(end, (Math.max(...inside) + 1) * TILE_WIDTH),
              };
        const found = spans.narrow({ terms: [], from, to, floor, end, limit: 1 });
        assert.deepEqual(found, expected, `${from} to ${to} in ${floor} to ${end}`);
      }
    }
  });

  it('leave a range alone when no time is asked for', () => {
    assert.deepEqual(spans.narrow({ terms: [], floor: 3, end: 9, limit: 1 }), { floor: 3, end: 9 });
  });
});
