/** Entries that are indexed together. Positions in a block are 0 to `BLOCK - 1`. */
export const BLOCK = 32_768;

/** A set of positions in a block: bit `n % 32` of word `n / 32` stands for position `n`. */
export type Bits = Uint32Array<ArrayBuffer>;

/** The most that `packPositions` writes: as many bytes as a bitmap takes. */
export const PACKED_MAX = BLOCK / 8;

/** How a set is packed: the gaps between its positions, the gaps between all others, or a bitmap. */
export type Packing = 0 | 1 | 2;
const GAPS: Packing = 0;
const HOLES: Packing = 1;
const BITMAP: Packing = 2;

const WORDS = BLOCK / 32;
/** A gap takes 1 to 3 bytes. */
const GAP_BYTES_MAX = 3;

export function noBits(): Bits {
  return new Uint32Array(WORDS);
}

/** Packs ascending positions into the start of `out`, in whichever way is short. */
export function packPositions(
  positions: readonly number[],
  out: Uint8Array,
): { readonly packing: Packing; readonly length: number } {
  const isSparse = positions.length <= BLOCK / 2;
  if (Math.min(positions.length, BLOCK - positions.length) <= PACKED_MAX) {
    const length = packGaps(isSparse ? positions : others(positions), out);
    if (length !== undefined) return { packing: isSparse ? GAPS : HOLES, length };
  }
  out.fill(0, 0, PACKED_MAX);
  for (const position of positions) out[position >> 3] = (out[position >> 3] ?? 0) | (1 << (position & 7));
  return { packing: BITMAP, length: PACKED_MAX };
}

/** Makes `bits` the set that was packed into `bytes` from `from` to `to`. */
export function unpackPositions(
  packing: Packing,
  bytes: Uint8Array,
  { from, to }: { readonly from: number; readonly to: number },
  bits: Bits,
): void {
  if (packing === BITMAP) {
    // Words are little-endian wherever Node runs.
    new Uint8Array(bits.buffer).set(bytes.subarray(from, to));
    return;
  }
  bits.fill(packing === HOLES ? 0xffff_ffff : 0);
  let position = -1;
  for (let at = from; at < to; ) {
    let gap = 0;
    let byte = 0x80;
    for (let shift = 0; byte >= 0x80 && at < to; shift += 7) {
      byte = bytes[at++] ?? 0;
      gap |= (byte & 0x7f) << shift;
    }
    position += gap;
    const word = position >> 5;
    bits[word] = (bits[word] ?? 0) ^ (1 << (position & 31));
  }
}

/** Makes `bits` the set of these positions. */
export function setPositions(positions: readonly number[], bits: Bits): void {
  bits.fill(0);
  for (const position of positions) {
    const word = position >> 5;
    bits[word] = (bits[word] ?? 0) | (1 << (position & 31));
  }
}

/** Leaves in `bits` what is in `others` too. False if nothing is left. */
export function intersect(bits: Bits, others: Bits): boolean {
  let any = 0;
  for (let word = 0; word < WORDS; word++) {
    const both = (bits[word] ?? 0) & (others[word] ?? 0);
    bits[word] = both;
    any |= both;
  }
  return any !== 0;
}

/** The positions from `high` down to `low`, as many as `limit`. */
export function positionsDown(
  bits: Bits,
  { low, high, limit }: { readonly low: number; readonly high: number; readonly limit: number },
): readonly number[] {
  const found: number[] = [];
  for (let word = high >> 5; word >= low >> 5; word--) {
    for (let rest = bits[word] ?? 0; rest !== 0; ) {
      const bit = 31 - Math.clz32(rest);
      rest ^= 1 << bit;
      const position = word * 32 + bit;
      if (position > high) continue;
      if (position < low || found.length === limit) return found;
      found.push(position);
    }
  }
  return found;
}

/** Undefined if a bitmap is shorter. */
function packGaps(positions: readonly number[], out: Uint8Array): number | undefined {
  let length = 0;
  let previous = -1;
  for (const position of positions) {
    if (length > PACKED_MAX - GAP_BYTES_MAX) return undefined;
    let gap = position - previous;
    for (; gap >= 0x80; gap >>>= 7) out[length++] = (gap & 0x7f) | 0x80;
    out[length++] = gap;
    previous = position;
  }
  return length;
}

function others(positions: readonly number[]): readonly number[] {
  const found: number[] = [];
  let place = 0;
  for (let position = 0; position < BLOCK; position++) {
    if (positions[place] === position) place++;
    else found.push(position);
  }
  return found;
}
