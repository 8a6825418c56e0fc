import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createEdge } from './edge.ts';
import {
  consistencyProof,
  createRange,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  type Subtree,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The entries of the reference test in certificate-transparency's merkle tree. */
const ENTRIES = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
];
const ROOTS = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

/** The definition of RFC 6962 section 2.1, word for word. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  const [first] = leaves;
  if (first === undefined) return EMPTY_ROOT;
  if (leaves.length === 1) return first;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(naiveRoot(leaves.slice(0, split)), naiveRoot(leaves.slice(split)));
}

const leavesOf = (count: number): readonly Uint8Array[] =>
  Array.from({ length: count }, (_, at) => leafHash(Buffer.from(`entry ${at}`)));

const subtreeOf =
  (leaves: readonly Uint8Array[]): Subtree =>
  (level, index) =>
    naiveRoot(leaves.slice(index * 2 ** level, (index + 1) * 2 ** level));

const sizes = fc.integer({ min: 1, max: 70 });
const runs = { numRuns: 60 };

describe('the Merkle tree', () => {
  it('has the roots of the certificate-transparency vectors', () => {
    const range = createRange();
    assert.equal(hex(range.root()), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    for (const [at, entry] of ENTRIES.entries()) {
      range.append(leafHash(Buffer.from(entry, 'hex')));
      assert.equal(hex(range.root()), ROOTS[at]);
    }
  });

  it('proves inclusion as the vectors do', () => {
    const leaves = ENTRIES.map((entry) => leafHash(Buffer.from(entry, 'hex')));
    assert.deepEqual(inclusionProof(5, 8, subtreeOf(leaves)).map(hex), [
      'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    assert.deepEqual(consistencyProof(6, 8, subtreeOf(leaves)).map(hex), [
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
  });

  it('grows to the root of the definition at every size, as a range and as tiles', () => {
    const leaves = leavesOf(600);
    const range = createRange();
    const edge = createEdge();
    for (const [at, leaf] of leaves.entries()) {
      range.append(leaf);
      edge.append(leaf);
      assert.equal(hex(edge.root()), hex(range.root()), `size ${at + 1}`);
    }
    for (const size of [1, 2, 3, 255, 256, 257, 511, 512, 513, 600]) {
      const short = createRange();
      for (const leaf of leaves.slice(0, size)) short.append(leaf);
      assert.equal(hex(short.root()), hex(naiveRoot(leaves.slice(0, size))));
    }
  });

  it('verifies every inclusion proof that it makes, and no other index, size, leaf or root', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), (size, choice) => {
        const index = choice % size;
        const leaves = leavesOf(size);
        const root = naiveRoot(leaves);
        const leaf = leaves[index] as Uint8Array;
        const proof = inclusionProof(index, size, subtreeOf(leaves));
        assert.equal(verifyInclusion(index, size, leaf, proof, root), true);
        for (let other = 0; other < size; other++) {
          if (other !== index) assert.equal(verifyInclusion(other, size, leaf, proof, root), false);
        }
        assert.equal(verifyInclusion(index, size, root, proof, leaf), size === 1);
        assert.equal(verifyInclusion(index, size, leaf, [...proof, root], root), false);
        if (proof.length > 0) assert.equal(verifyInclusion(index, size, leaf, proof.slice(1), root), false);
        if (proof.length > 1)
          assert.equal(verifyInclusion(index, size, leaf, proof.toReversed(), root), false);
      }),
      runs,
    );
  });

  it('verifies every consistency proof that it makes, and none that was changed', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), fc.nat(), (size, choice, bit) => {
        const before = (choice % size) + 1;
        const leaves = leavesOf(size);
        const old = naiveRoot(leaves.slice(0, before));
        const root = naiveRoot(leaves);
        const proof = consistencyProof(before, size, subtreeOf(leaves));
        assert.equal(verifyConsistency(before, size, old, root, proof), true);
        assert.equal(verifyConsistency(before, size, root, old, proof), before === size);
        assert.equal(verifyConsistency(before, size, old, root, [...proof, root]), false);
        if (proof.length === 0) return;
        assert.equal(verifyConsistency(before, size, old, root, []), false);
        const changed = proof.map((each) => Uint8Array.from(each));
        const at = bit % (changed.length * 256);
        const hash = changed[Math.floor(at / 256)] as Uint8Array;
        hash[Math.floor((at % 256) / 8)] = (hash[Math.floor((at % 256) / 8)] ?? 0) ^ (1 << (at % 8));
        assert.equal(verifyConsistency(before, size, old, root, changed), false);
      }),
      runs,
    );
  });

  it('refuses malformed proofs without throwing', () => {
    const leaves = leavesOf(4);
    const root = naiveRoot(leaves);
    const leaf = leaves[0] as Uint8Array;
    const proof = inclusionProof(0, 4, subtreeOf(leaves));
    for (const [index, size] of [
      [4, 4],
      [-1, 4],
      [0.5, 4],
      [0, 2 ** 53],
      [Number.NaN, 4],
      [0, 0],
    ] as const) {
      assert.equal(verifyInclusion(index, size, leaf, proof, root), false, `${index} of ${size}`);
    }
    const short = [leaf.subarray(1), ...proof.slice(1)];
    assert.equal(verifyInclusion(0, 4, leaf, short, root), false);
    assert.equal(verifyInclusion(0, 4, leaf.subarray(1), proof, root), false);
    assert.equal(verifyConsistency(0, 4, EMPTY_ROOT, root, []), false);
    assert.equal(verifyConsistency(5, 4, root, root, []), false);
    assert.equal(verifyConsistency(4, 4, root, leaf, []), false);
    assert.equal(verifyConsistency(2, 4, root, root, short), false);
    assert.throws(() => inclusionProof(4, 4, subtreeOf(leaves)), RangeError);
    assert.throws(() => consistencyProof(0, 4, subtreeOf(leaves)), RangeError);
  });
});
