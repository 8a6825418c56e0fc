import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createRecent } from './recent.ts';

const leaf = new Uint8Array(32);
const text = (id: number): string => JSON.stringify({ v: 1, id: String(id) });

it('gives the run that it holds, and nothing across a gap', () => {
  const recent = createRecent();
  for (const index of [3, 4, 6]) recent.add(index, text(index), leaf);
  assert.deepEqual(
    recent.read(3, 10).map(({ index, entry }) => [index, entry.id]),
    [
      [3, '3'],
      [4, '4'],
    ],
  );
  assert.deepEqual(
    recent.read(4, 1).map(({ index }) => index),
    [4],
  );
  assert.deepEqual(recent.read(5, 10), []);
});

it('lets the oldest go, by count and by size', () => {
  const few = createRecent({ countMax: 2 });
  for (const index of [0, 1, 2]) few.add(index, text(index), leaf);
  assert.deepEqual(few.read(0, 1), []);
  assert.equal(few.read(1, 9).length, 2);
  const small = createRecent({ charactersMax: text(0).length });
  for (const index of [0, 1]) small.add(index, text(index), leaf);
  assert.deepEqual(small.read(0, 1), []);
  assert.equal(small.read(1, 9).length, 1);
});
