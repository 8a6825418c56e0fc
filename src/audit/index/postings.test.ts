import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { IndexDamage } from './numbers.ts';
import { BLOCK } from './positions.ts';
import { createPostings, POSTING_TABLES } from './postings.ts';

type Postings = ReturnType<typeof createPostings>;

const SIZE = 2 * BLOCK + 5000;
/** Terms by how many entries have them; `half` and `otherHalf` never meet. */
const has: Readonly<Record<string, (index: number) => boolean>> = {
  all: () => true,
  half: (index) => index % 2 === 0,
  otherHalf: (index) => index % 2 === 1,
  few: (index) => index % 997 === 3,
  first: (index) => index === 0,
  edges: (index) => index % BLOCK === 0 || index % BLOCK === BLOCK - 1,
  once: (index) => index === BLOCK + 77,
  firstBlock: (index) => index < BLOCK && index % 5 === 0,
  newest: (index) => index > 2 * BLOCK + 4000,
};
const names = Object.keys(has);
const keyOf = (name: string): number => names.indexOf(name) * 12_345_678 + 1;
const keysOf = (index: number): number[] => [
  ...names.filter((name) => has[name]?.(index)).map(keyOf),
  // Said twice, and one that no other entry has.
  keyOf('all'),
  1_000_000_000 + index,
];

function empty(): { readonly database: DatabaseSync; readonly postings: Postings } {
  const database = new DatabaseSync(':memory:');
  database.exec(POSTING_TABLES);
  return { database, postings: createPostings(database) };
}

function fill(postings: Postings, from: number, to: number, batch: number): void {
  for (let at = from; at < to; at += batch) {
    const entries = Array.from({ length: Math.min(batch, to - at) }, (_, each) => keysOf(at + each));
    postings.add(at, entries);
  }
}

const { database, postings } = empty();
database.exec('begin');
fill(postings, 0, SIZE, 3001);
database.exec('commit');
const isEnough = (): boolean => false;

describe('postings', () => {
  it('say what looking at each entry says, in full blocks and in the last one', () => {
    const questions = names.flatMap((one) => names.map((other) => [one, other]));
    questions.push(['half', 'few', 'all'], ['firstBlock', 'edges', 'half'], ['all', 'all', 'once']);
    let answers = 0;
    for (const question of questions) {
      for (const [floor, end] of [
        [0, SIZE],
        [BLOCK - 1, BLOCK + 78],
        [77, 2 * BLOCK + 4500],
        [BLOCK, 2 * BLOCK],
        [5, 5],
      ] as const) {
        const expected: number[] = [];
        for (let index = end - 1; index >= floor && expected.length < 40; index--)
          if (question.every((name) => has[name]?.(index))) expected.push(index);
        const found = postings.find(question.map(keyOf), { floor, end, limit: 40, isEnough });
        assert.deepEqual(found.indices, expected, `${question.join(' and ')} from ${floor} to ${end}`);
        assert.equal(found.floor, expected.length === 40 ? expected.at(-1) : floor);
        answers += expected.length;
      }
    }
    assert.ok(answers > 1000, String(answers));
  });

  it('find the one entry that has a term, and none for a key that no entry has', () => {
    const range = { floor: 0, end: SIZE, limit: 5, isEnough };
    for (const index of [0, 1, BLOCK - 1, BLOCK, BLOCK + 12_345, 2 * BLOCK - 1, 2 * BLOCK, SIZE - 1])
      assert.deepEqual(postings.find([1_000_000_000 + index], range).indices, [index]);
    for (const key of [0, 2, 999_999_999, 1_000_000_000 + SIZE, 2 ** 31 - 1])
      assert.deepEqual(postings.find([key], range), { indices: [], floor: 0 });
    assert.deepEqual(postings.find([keyOf('all')], { ...range, end: SIZE + BLOCK, limit: 1 }).indices, [
      SIZE - 1,
    ]);
  });

  it('stop after a block when told that it is enough, and go on from there', () => {
    const keys = ['half', 'otherHalf'].map(keyOf);
    const first = postings.find(keys, { floor: 0, end: SIZE, limit: 9, isEnough: () => true });
    assert.deepEqual(first, { indices: [], floor: 2 * BLOCK });
    const next = postings.find(keys, { floor: 0, end: first.floor, limit: 9, isEnough: () => true });
    assert.deepEqual(next, { indices: [], floor: BLOCK });
  });

  it('are the same when they are opened again, and after a batch that was rolled back', () => {
    const { database: other, postings: before } = empty();
    fill(before, 0, BLOCK - 10, 4096);
    const range = { floor: 0, end: SIZE, limit: 50, isEnough };
    const answer = (from: Postings): unknown => names.map((name) => from.find([keyOf(name)], range));
    const known = answer(before);
    assert.deepEqual(answer(createPostings(other)), known);
    other.exec('begin');
    fill(before, BLOCK - 10, BLOCK + 10, 20);
    assert.notDeepEqual(answer(before), known);
    other.exec('rollback');
    before.reload();
    assert.deepEqual(answer(before), known);
    fill(before, BLOCK - 10, SIZE, 4096);
    assert.deepEqual(answer(before), answer(postings));
    other.close();
  });

  it('keep of a full block only its pages', () => {
    const { database: other, postings: full } = empty();
    fill(full, 0, BLOCK, 4096);
    assert.equal(other.prepare('select count(*) as n from recent').get()?.['n'], 0);
    const size = Number(other.prepare('select sum(length(bytes)) as n from page').get()?.['n']);
    assert.ok(size / BLOCK < 8.5, `${size / BLOCK} bytes an entry`);
    other.close();
  });

  it('refuse a damaged page and a damaged last block', () => {
    const { database: other, postings: damaged } = empty();
    fill(damaged, 0, BLOCK + 10, 4096);
    other.exec("update page set bytes = cast(bytes || x'00' as blob)");
    assert.throws(
      () => damaged.find([keyOf('half')], { floor: 0, end: BLOCK, limit: 5, isEnough }),
      IndexDamage,
    );
    other.exec("update recent set bytes = x'00000000ff'");
    assert.throws(() => createPostings(other), IndexDamage);
    other.close();
  });
});
