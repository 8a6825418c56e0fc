import { hash } from 'node:crypto';

/** The Merkle tree of RFC 6962 section 2.1 over SHA-256. Bytes in, bytes out; sizes are safe integers. */

export const HASH_BYTES = 32;

/** MTH({}): the root of the empty tree. */
export const EMPTY_ROOT: Uint8Array = hash('sha256', '', 'buffer');

/** By way of a string: a Buffer that is allocated for each hash takes longer than the hash. */
function sha256(bytes: Uint8Array): Uint8Array {
  return Buffer.from(hash('sha256', bytes, 'binary'), 'binary');
}

const LEAF = Buffer.from([0]);

export function leafHash(entry: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([LEAF, entry]));
}

/**
 * The leaf hash of `bytes[start:end]`, without a copy: overwrites the byte before `start`, which in a record and in a
 * bundle belongs to the length.
 */
export function leafHashInPlace(bytes: Uint8Array, start: number, end: number): Uint8Array {
  bytes[start - 1] = 0;
  return sha256(bytes.subarray(start - 1, end));
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  const bytes = Buffer.allocUnsafe(1 + 2 * HASH_BYTES);
  bytes[0] = 1;
  bytes.set(left, 1);
  bytes.set(right, 1 + HASH_BYTES);
  return sha256(bytes);
}

/**
 * The roots of the largest complete subtrees of `hashes`, left to right, one per set bit of its length. `hashes` are
 * leaf hashes, or roots of complete subtrees that all have the same size.
 */
export function peaks(hashes: readonly Uint8Array[]): readonly Uint8Array[] {
  const range = createRange();
  for (const each of hashes) range.append(each);
  return range.peaks();
}

/** The root over complete subtrees that grow smaller from left to right. */
export function rootOf(peaks: readonly Uint8Array[]): Uint8Array {
  return peaks.length === 0 ? EMPTY_ROOT : peaks.reduceRight((right, left) => nodeHash(left, right));
}

/** A tree that can only grow and knows only its right edge (a compact range): at most 53 hashes of memory. */
export interface Range {
  size(): number;
  append(leaf: Uint8Array): void;
  root(): Uint8Array;
  peaks(): readonly Uint8Array[];
}

export function createRange(): Range {
  const stack: Uint8Array[] = [];
  let size = 0;
  return {
    size: () => size,
    append(leaf) {
      let node = leaf;
      for (let rest = size; rest % 2 === 1; rest = (rest - 1) / 2)
        node = nodeHash(stack.pop() as Uint8Array, node);
      stack.push(node);
      size++;
    },
    root: () => rootOf(stack),
    peaks: () => [...stack],
  };
}

/** The root of the complete subtree of 2^level leaves that starts at leaf `index` * 2^level. */
export type Subtree = (level: number, index: number) => Uint8Array;

/** MTH(D[start:end]) for a range that RFC 6962 cuts out of a tree. */
export function rangeHash(start: number, end: number, subtree: Subtree): Uint8Array {
  const width = end - start;
  const split = largestPowerBelow(width);
  if (split * 2 === width || width === 1) return subtree(Math.log2(width), start / width);
  return nodeHash(rangeHash(start, start + split, subtree), rangeHash(start + split, end, subtree));
}

/** PATH(index, D[0:size]) of RFC 6962 section 2.1.1, from the leaf upwards. */
export function inclusionProof(index: number, size: number, subtree: Subtree): readonly Uint8Array[] {
  if (!isSize(index) || !isSize(size) || index >= size)
    throw new RangeError(`no entry ${index} in a tree of ${size}`);
  const path: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + largestPowerBelow(end - start);
    if (index < middle) {
      path.push(rangeHash(middle, end, subtree));
      end = middle;
    } else {
      path.push(rangeHash(start, middle, subtree));
      start = middle;
    }
  }
  return path.reverse();
}

/** PROOF(before, D[0:size]) of RFC 6962 section 2.1.2. Empty if the sizes are equal. */
export function consistencyProof(before: number, size: number, subtree: Subtree): readonly Uint8Array[] {
  if (!isSize(before) || !isSize(size) || before === 0 || before > size) {
    throw new RangeError(`no consistency proof from ${before} to ${size}`);
  }
  const proof: Uint8Array[] = [];
  let start = 0;
  let end = size;
  let whole = true;
  while (end !== before) {
    const middle = start + largestPowerBelow(end - start);
    if (before <= middle) {
      proof.push(rangeHash(middle, end, subtree));
      end = middle;
    } else {
      proof.push(rangeHash(start, middle, subtree));
      start = middle;
      whole = false;
    }
  }
  if (!whole) proof.push(rangeHash(start, end, subtree));
  return proof.reverse();
}

/** RFC 9162 section 2.1.3.2. False for anything malformed: a wrong length, a short hash, an index outside. */
export function verifyInclusion(
  index: number,
  size: number,
  leaf: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isSize(index) || !isSize(size) || index >= size || ![leaf, root, ...proof].every(isHash)) return false;
  let fn = index;
  let sn = size - 1;
  let node = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      node = nodeHash(sibling, node);
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      node = nodeHash(node, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equal(node, root);
}

/** RFC 9162 section 2.1.4.2. False for anything malformed, and for `before` = 0, where there is nothing to prove. */
export function verifyConsistency(
  before: number,
  size: number,
  rootBefore: Uint8Array,
  root: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (!isSize(before) || !isSize(size) || before === 0 || before > size) return false;
  if (![rootBefore, root, ...proof].every(isHash)) return false;
  if (before === size) return proof.length === 0 && equal(rootBefore, root);
  const [first, ...rest] = isPowerOfTwo(before) ? [rootBefore, ...proof] : proof;
  if (first === undefined || proof.length === 0) return false;
  let fn = before - 1;
  let sn = size - 1;
  while (fn % 2 === 1) {
    fn = half(fn);
    sn = half(sn);
  }
  let old = first;
  let node = first;
  for (const each of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      old = nodeHash(each, old);
      node = nodeHash(each, node);
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      node = nodeHash(node, each);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equal(old, rootBefore) && equal(node, root);
}

/** Largest power of two smaller than `width`; 1 for 1, which is never split. */
function largestPowerBelow(width: number): number {
  let power = 1;
  while (power * 2 < width) power *= 2;
  return power;
}

function isPowerOfTwo(value: number): boolean {
  return largestPowerBelow(value) * 2 === value || value === 1;
}

// Bit operators would cut at 32 bits.
const half = (value: number): number => Math.floor(value / 2);
const isSize = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
const isHash = (bytes: Uint8Array): boolean => bytes instanceof Uint8Array && bytes.length === HASH_BYTES;
const equal = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;
