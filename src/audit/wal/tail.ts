import { crc32 } from 'node:zlib';
import { GROUP_BYTES_MAX, RECORD_OVERHEAD, recordAt } from './record.ts';

/** Smallest piece that a disk writes as a whole. */
const SECTOR_BYTES = 512;
/** How every entry begins; it cannot stand inside one, where quotes are escaped. */
const MARK = Buffer.from('{"v":1,"id":"');

/**
 * Tells what stands behind the last good record: nothing but zeros, an unfinished write, or damage. A write that was
 * cut leaves a prefix of its records, and a power failure may leave any of its sectors as they were: zeros. Otherwise
 * there stand whole records behind damage, or a whole record is there but for a bad byte. `rest` begins at `offset` of
 * the file and is longer than a group.
 */
export function classifyTail(
  rest: Buffer,
  offset: number,
): { readonly kind: TailKind; readonly bytes: number } {
  const bytes = lengthWithoutZeros(rest);
  const data = rest.subarray(0, bytes);
  const kind =
    bytes === 0
      ? 'clean'
      : bytes <= GROUP_BYTES_MAX && (hasHole(data, offset) || (!holdsRecord(data) && isCut(rest, bytes)))
        ? 'torn'
        : 'damaged';
  return { kind, bytes };
}

export type TailKind = 'clean' | 'torn' | 'damaged';

/** Length up to the last byte that is not zero. */
export function lengthWithoutZeros(bytes: Uint8Array): number {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end;
}

/** Claims that a sector of the first record is zeros while something behind it is not. No byte of an entry is zero. */
function hasHole(data: Buffer, offset: number): boolean {
  const isZero = (begin: number, end: number): boolean =>
    data.subarray(begin, end).every((byte) => byte === 0);
  let sector = SECTOR_BYTES - (offset % SECTOR_BYTES);
  const length = data.length < 2 ? 0 : data.readUInt16BE(0);
  if (length === 0) return sector > 2 && sector < data.length && isZero(0, sector);
  const entryEnd = 2 + length;
  for (let begin = 2; begin < entryEnd && sector <= data.length; sector += SECTOR_BYTES) {
    if (sector > begin && isZero(begin, Math.min(sector, entryEnd))) return true;
    begin = Math.max(begin, sector);
  }
  return isChecksumLost(data, entryEnd, offset);
}

/** Claims that the first record is whole but for the part of its checksum that begins a sector of zeros. */
function isChecksumLost(data: Buffer, entryEnd: number, offset: number): boolean {
  const present = (SECTOR_BYTES - ((offset + entryEnd) % SECTOR_BYTES)) % SECTOR_BYTES;
  if (present >= 4 || data.length <= entryEnd + 4) return false;
  const lost = data.subarray(entryEnd + present, entryEnd + 4);
  return lost.every((byte) => byte === 0) && beginsChecksum(data, entryEnd, present);
}

function holdsRecord(data: Buffer): boolean {
  for (let at = data.indexOf(MARK, 3); at !== -1; at = data.indexOf(MARK, at + 1)) {
    if (recordAt(data, at - 2, data.length) !== undefined) return true;
  }
  return false;
}

/** Claims that the data is the beginning of one record, and not a whole one with a bad length or checksum. */
function isCut(rest: Buffer, bytes: number): boolean {
  if (bytes <= RECORD_OVERHEAD) return true;
  // Up to four bytes of the checksum may be zeros themselves.
  for (let end = bytes; end <= Math.min(bytes + 4, rest.length); end++) {
    if (recordAt(rest, 0, end, end - RECORD_OVERHEAD) !== undefined) return false;
  }
  const entryEnd = 2 + rest.readUInt16BE(0);
  if (entryEnd === 2 || bytes > entryEnd + 4) return false;
  return bytes < entryEnd || beginsChecksum(rest, entryEnd, bytes - entryEnd);
}

/** Claims that the first `present` bytes behind the entry are those of its checksum. */
function beginsChecksum(data: Buffer, entryEnd: number, present: number): boolean {
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(data.subarray(0, entryEnd)));
  return data.subarray(entryEnd, entryEnd + present).equals(sum.subarray(0, present));
}
