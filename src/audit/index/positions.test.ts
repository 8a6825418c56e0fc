import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import {
  type Bits,
  BLOCK,
  intersect,
  noBits,
  PACKED_MAX,
  packPositions,
  positionsDown,
  setPositions,
  unpackPositions,
} from './positions.ts';

const everything = { low: 0, high: BLOCK - 1, limit: BLOCK };
const every = Array.from({ length: BLOCK }, (_, position) => position);
const ascending = (bits: Bits): readonly number[] => positionsDown(bits, everything).toReversed();

function packed(positions: readonly number[]): { readonly bits: Bits; readonly length: number } {
  const out = new Uint8Array(PACKED_MAX + 8).fill(0xa5);
  const { packing, length } = packPositions(positions, out.subarray(0, PACKED_MAX));
  // Behind other bytes, as in a page.
  const bytes = Uint8Array.of(9, 9, 9, ...out.subarray(0, length), 9);
  const bits = noBits().fill(0x5a5a5a5a);
  unpackPositions(packing, bytes, { from: 3, to: 3 + length }, bits);
  assert.ok(out.subarray(PACKED_MAX).every((byte) => byte === 0xa5));
  return { bits, length };
}

const sets: Readonly<Record<string, readonly number[]>> = {
  nothing: [],
  'the first': [0],
  'the last': [BLOCK - 1],
  'both ends': [0, BLOCK - 1],
  'gaps of 127 to 129 and 16,383 to 16,385': [126, 254, 383, 16_766, 33].toSorted((a, b) => a - b),
  'all but the first': every.slice(1),
  'all but the last': every.slice(0, -1),
  all: every,
  half: every.slice(BLOCK / 2),
  'one less than half': every.slice(BLOCK / 2 + 1),
  'every second': every.filter((position) => position % 2 === 0),
  'every ninth': every.filter((position) => position % 9 === 0),
  'all but every ninth': every.filter((position) => position % 9 !== 0),
  'every eighth: as long as a bitmap': every.filter((position) => position % 8 === 0),
};

describe('positions', () => {
  for (const [name, positions] of Object.entries(sets)) {
    it(`come back as they were: ${name}`, () => {
      const { bits, length } = packed(positions);
      assert.deepEqual(ascending(bits), positions);
      assert.ok(length <= PACKED_MAX);
      setPositions(positions, bits);
      assert.deepEqual(ascending(bits), positions);
    });
  }

  it('take a byte each where they are few, and none where they are all', () => {
    assert.equal(packed(every).length, 0);
    assert.equal(packed([]).length, 0);
    assert.equal(packed(every.filter((position) => position % 50 === 0)).length, Math.ceil(BLOCK / 50));
    assert.equal(packed(every.filter((position) => position % 50 !== 0)).length, Math.ceil(BLOCK / 50));
  });

  it('of any sets come back, meet and are listed as sets do', () => {
    const share = fc.constantFrom(0, 0.0005, 0.02, 0.3, 0.9, 0.999, 1);
    const set = fc
      .tuple(share, fc.integer())
      .map(([density, salt]) =>
        every.filter((at) => (Math.imul(at + salt, 0x9e3779b1) >>> 8) / 2 ** 24 < density),
      );
    const place = fc.nat(BLOCK - 1);
    fc.assert(
      fc.property(set, set, place, place, fc.integer({ min: 1, max: 50 }), (a, b, one, other, limit) => {
        const { bits } = packed(a);
        assert.deepEqual(ascending(bits), a);
        const members = new Set(b);
        const both = a.filter((position) => members.has(position));
        assert.equal(intersect(bits, packed(b).bits), both.length > 0);
        const [low, high] = [Math.min(one, other), Math.max(one, other)];
        const expected = both.filter((position) => position >= low && position <= high).toReversed();
        assert.deepEqual(positionsDown(bits, { low, high, limit }), expected.slice(0, limit));
      }),
      { numRuns: 40 },
    );
  });
});
