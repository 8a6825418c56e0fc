import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { IndexDamage } from './numbers.ts';
import { type Page, packPages, readTerm } from './page.ts';
import { BLOCK, noBits, positionsDown } from './positions.ts';

const every = Array.from({ length: BLOCK }, (_, position) => position);
const keys = [0, 1, 127, 128, 300, 70_000, 2 ** 28, 2 ** 30, 2 ** 31 - 2, 2 ** 31 - 1];

function pagesOf(terms: readonly { readonly key: number; readonly positions: readonly number[] }[]): Page[] {
  return [...packPages(terms)];
}

function positionsOf(pages: readonly Page[], key: number): readonly number[] | undefined {
  const page = pages.findLast(({ firstKey }) => firstKey <= key);
  const bits = noBits();
  if (page === undefined || !readTerm(page, key, bits)) return undefined;
  return positionsDown(bits, { low: 0, high: BLOCK - 1, limit: BLOCK }).toReversed();
}

describe('pages', () => {
  it('hold each term of a block, and no other', () => {
    const terms = keys.map((key, at) => ({
      key,
      positions: every.filter((each) => each % (at * 17 + 2) === 0),
    }));
    const pages = pagesOf(terms);
    assert.ok(pages.length > 3 && pages.length < keys.length);
    for (const { key, positions } of terms) assert.deepEqual(positionsOf(pages, key), positions);
    for (const key of [2, 126, 129, 69_999, 2 ** 29, 2 ** 31 - 3])
      assert.equal(positionsOf(pages, key), undefined);
  });

  it('are about as large as each other, whatever they hold', () => {
    const rare = Array.from({ length: 5000 }, (_, at) => ({ key: at * 70_001, positions: [at] }));
    const pages = pagesOf(rare);
    assert.ok(pages.every(({ bytes }) => bytes.length < 1100));
    const size = pages.reduce((sum, { bytes }) => sum + bytes.length, 0);
    assert.ok(size / rare.length < 7, `${size / rare.length} bytes a term`);
    assert.deepEqual(positionsOf(pages, 4321 * 70_001), [4321]);
    assert.ok(
      pagesOf([{ key: 5, positions: every.filter((each) => each % 2 === 0) }]).every(
        ({ bytes }) => bytes.length < 4200,
      ),
    );
    assert.deepEqual(pagesOf([]), []);
  });

  it('are refused when any byte of them was changed or is missing', () => {
    const [page] = pagesOf(keys.map((key) => ({ key, positions: [3, 9, 400] })));
    assert.ok(page !== undefined);
    for (const at of page.bytes.keys()) {
      const bytes = Uint8Array.from(page.bytes);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      assert.throws(() => readTerm({ ...page, bytes }, 300, noBits()), IndexDamage);
      assert.throws(
        () => readTerm({ ...page, bytes: page.bytes.subarray(0, at) }, 300, noBits()),
        IndexDamage,
      );
    }
  });
});
