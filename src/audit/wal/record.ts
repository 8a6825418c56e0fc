import { crc32 } from 'node:zlib';
import { ENTRY_BYTES_MAX } from '../serialise.ts';

/** One entry in the write-ahead log: `length (2, big endian) | entry | CRC-32 of length and entry (4, big endian)`. */
export const RECORD_OVERHEAD = 6;
export const RECORD_BYTES_MAX = ENTRY_BYTES_MAX + RECORD_OVERHEAD;
/** Records that are written and flushed together have at most this many bytes. */
export const GROUP_BYTES_MAX = 1 << 18;

/** The entry of a whole record at `begin` with a good checksum; with `length`, whatever the record says of its own. */
export function recordAt(buffer: Buffer, begin: number, end: number, length?: number): Buffer | undefined {
  if (begin + RECORD_OVERHEAD >= end) return undefined;
  const size = length ?? buffer.readUInt16BE(begin);
  const check = begin + 2 + size;
  if (size === 0 || check + 4 > end) return undefined;
  let sum = 0;
  if (length === undefined) sum = crc32(buffer.subarray(begin, check));
  else {
    const prefix = Buffer.alloc(2);
    prefix.writeUInt16BE(size);
    sum = crc32(buffer.subarray(begin + 2, check), crc32(prefix));
  }
  return sum === buffer.readUInt32BE(check) ? buffer.subarray(begin + 2, check) : undefined;
}
