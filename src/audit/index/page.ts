import {
  assertIntact,
  CHECK_BYTES,
  createNumberReader,
  NUMBER_BYTES_MAX,
  sealed,
  writeNumber,
} from './numbers.ts';
import { type Bits, PACKED_MAX, type Packing, packPositions, unpackPositions } from './positions.ts';

/**
 * A part of the terms of a block, and the entries that have each: a CRC-32 of the rest, then for each term, in the order
 * of the keys, the step from the key before (the page's first, for the first), `length * 4 + packing` and the packed
 * positions. Numbers are LEB128.
 */
export interface Page {
  readonly firstKey: number;
  readonly bytes: Uint8Array;
}

/** A page is full with so many bytes. Looking for a term reads one: half of it on average. */
const PAGE_BYTES = 1024;

/** Packs the terms of a block, given in the order of their keys. */
export function* packPages(
  terms: Iterable<{ readonly key: number; readonly positions: readonly number[] }>,
): Generator<Page> {
  const buffer = Buffer.alloc(PAGE_BYTES + PACKED_MAX + 2 * NUMBER_BYTES_MAX);
  const packed = new Uint8Array(PACKED_MAX);
  let firstKey = 0;
  let lastKey = 0;
  let end = CHECK_BYTES;
  for (const { key, positions } of terms) {
    if (end === CHECK_BYTES) firstKey = lastKey = key;
    const { packing, length } = packPositions(positions, packed);
    end = writeNumber(buffer, end, key - lastKey);
    end = writeNumber(buffer, end, length * 4 + packing);
    buffer.set(length === PACKED_MAX ? packed : packed.subarray(0, length), end);
    end += length;
    lastKey = key;
    if (end < PAGE_BYTES) continue;
    yield { firstKey, bytes: sealed(buffer, end) };
    end = CHECK_BYTES;
  }
  if (end > CHECK_BYTES) yield { firstKey, bytes: sealed(buffer, end) };
}

/** Makes `bits` the entries that have the term; false if none has it. Throws `IndexDamage`. */
export function readTerm({ firstKey, bytes }: Page, key: number, bits: Bits): boolean {
  assertIntact(bytes);
  const reader = createNumberReader(bytes, CHECK_BYTES);
  let current = firstKey;
  while (reader.at < bytes.length) {
    current += reader.next();
    const size = reader.next();
    if (current > key) return false;
    const from = reader.at;
    reader.at += size >>> 2;
    if (current < key) continue;
    unpackPositions((size & 3) as Packing, bytes, { from, to: reader.at }, bits);
    return true;
  }
  return false;
}
