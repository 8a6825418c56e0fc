import { crc32 } from 'node:zlib';

/** Bytes of an index that are not what was written. */
export class IndexDamage extends Error {
  override readonly name = 'IndexDamage';
}

/** What is kept in the index begins with a CRC-32 of the rest. */
export const CHECK_BYTES = 4;
/** LEB128, below 2^31. */
export const NUMBER_BYTES_MAX = 5;

/** Writes one number; where it ends. */
export function writeNumber(out: Uint8Array, at: number, value: number): number {
  let end = at;
  let rest = value;
  for (; rest >= 0x80; rest >>>= 7) out[end++] = (rest & 0x7f) | 0x80;
  out[end++] = rest;
  return end;
}

export interface NumberReader {
  /** Where the next number begins. */
  at: number;
  next(): number;
}

export function createNumberReader(bytes: Uint8Array, from: number): NumberReader {
  const reader = {
    at: from,
    next() {
      let value = 0;
      let byte = 0x80;
      for (let shift = 0; byte >= 0x80 && reader.at < bytes.length; shift += 7) {
        byte = bytes[reader.at++] ?? 0;
        value |= (byte & 0x7f) << shift;
      }
      return value;
    },
  };
  return reader;
}

export function packNumbers(numbers: readonly number[]): Uint8Array {
  const buffer = Buffer.allocUnsafe(CHECK_BYTES + numbers.length * NUMBER_BYTES_MAX);
  let end = CHECK_BYTES;
  for (const number of numbers) end = writeNumber(buffer, end, number);
  return sealed(buffer, end);
}

/** Throws `IndexDamage`. */
export function unpackNumbers(bytes: Uint8Array): readonly number[] {
  assertIntact(bytes);
  const numbers: number[] = [];
  const reader = createNumberReader(bytes, CHECK_BYTES);
  while (reader.at < bytes.length) numbers.push(reader.next());
  return numbers;
}

/** A copy of the first `end` bytes, with the CRC of what follows it in its first four. */
export function sealed(buffer: Buffer, end: number): Uint8Array {
  buffer.writeUInt32LE(crc32(buffer.subarray(CHECK_BYTES, end)), 0);
  return Uint8Array.prototype.slice.call(buffer, 0, end);
}

/** Throws `IndexDamage`. */
export function assertIntact(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < CHECK_BYTES || view.getUint32(0, true) !== crc32(bytes.subarray(CHECK_BYTES)))
    throw new IndexDamage('a part of the search index is not what was written');
}
