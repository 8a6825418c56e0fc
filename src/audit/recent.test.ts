import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Entry } from './entry.ts';
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
  const small = createRecent({ bytesMax: 100 });
  for (const index of [0, 1]) small.add(index, text(index), leaf);
  assert.deepEqual(small.read(0, 1), []);
  assert.equal(small.read(1, 9).length, 1);
});

it('gives back what was recorded, however often its memory is used again', () => {
  const recent = createRecent({ countMax: 20, bytesMax: 4000 });
  const texts = Array.from({ length: 500 }, (_, index) =>
    JSON.stringify({ id: 'é漢🙂x'.repeat((index * 7) % 23), at: index }),
  );
  texts.forEach((each, index) => {
    const leafOf = new Uint8Array(32).fill(index);
    recent.add(index, each, leafOf);
    const held = recent.read(Math.max(0, index - 3), 10);
    assert.deepEqual(held.at(-1), { index, leaf: leafOf, entry: JSON.parse(each) });
    for (const row of held) assert.deepEqual(row.entry, JSON.parse(texts[row.index] as string));
  });
  assert.equal(recent.read(480, 20).length, 20);
});

it('passes over what is larger than its memory', () => {
  const recent = createRecent({ bytesMax: 100 });
  recent.add(0, text(0), leaf);
  recent.add(1, JSON.stringify({ id: 'x'.repeat(100) }), leaf);
  assert.deepEqual(recent.read(1, 1), []);
});

it('gives the object itself once, to the first who reads it', () => {
  const recent = createRecent();
  const entry = JSON.parse(text(0)) as Entry;
  recent.add(0, text(0), leaf, entry);
  assert.equal(recent.read(0, 1)[0]?.entry, entry);
  const again = recent.read(0, 1)[0]?.entry;
  assert.notEqual(again, entry);
  assert.deepEqual(again, entry);
});
