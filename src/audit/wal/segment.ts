import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { ENTRY_BYTES_MAX } from '../serialise.ts';

/**
 * The write-ahead log: files `wal/<index of the first entry>.seg`, each a row of records
 * `length (2, big endian) | entry | CRC-32 of length and entry (4, big endian)`.
 */

export const RECORD_OVERHEAD = 6;
const RECORD_BYTES_MAX = ENTRY_BYTES_MAX + RECORD_OVERHEAD;
const CHUNK_BYTES = 1 << 20;

export interface Segment {
  /** Index of the first entry. */
  readonly first: number;
  readonly path: string;
  /** Relative to the log directory, for messages. */
  readonly file: string;
}

export function segmentAt(directory: string, first: number): Segment {
  return { first, path: join(directory, 'wal', `${first}.seg`), file: `wal/${first}.seg` };
}

/** In order of their entries. Other files in the directory are not ours and are passed over. */
export function listSegments(directory: string): readonly Segment[] {
  let names: string[];
  try {
    names = readdirSync(join(directory, 'wal'));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names
    .flatMap((name) => /^(0|[1-9][0-9]{0,15})\.seg$/.exec(name)?.[1] ?? [])
    .map((first) => segmentAt(directory, Number(first)))
    .sort((a, b) => a.first - b.first);
}

export interface SegmentRecord {
  readonly index: number;
  /** Where the next record begins. */
  readonly end: number;
  /** A view that the next step of the iteration overwrites: copy what you keep. */
  readonly entry: Uint8Array;
}

/** How a segment ends. `torn`: a write that never finished, which nobody was told had. `damaged`: anything else. */
export interface SegmentEnd {
  readonly kind: 'clean' | 'torn' | 'damaged';
  /** Index after the last good record. */
  readonly next: number;
  /** Byte after the last good record. */
  readonly offset: number;
  /** Bytes behind it. */
  readonly rest: number;
}

/** Reads records from `from` on, at most 1 MiB at a time, and returns how it ended. */
export function* readSegment(
  segment: Segment,
  from: { readonly index: number; readonly offset: number } = { index: segment.first, offset: 0 },
): Generator<SegmentRecord, SegmentEnd> {
  const fd = openSync(segment.path, 'r');
  try {
    const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
    let { index, offset } = from;
    let begin = 0;
    let end = 0;
    let atEnd = false;
    for (;;) {
      if (!atEnd && end - begin < RECORD_BYTES_MAX) {
        buffer.copy(buffer, 0, begin, end);
        end -= begin;
        begin = 0;
        end += fill(fd, buffer, end, offset + end);
        atEnd = end < buffer.length;
      }
      const record = recordAt(buffer, begin, end);
      if (record === undefined) break;
      begin += record.length + RECORD_OVERHEAD;
      offset += record.length + RECORD_OVERHEAD;
      yield { index, end: offset, entry: record };
      index++;
    }
    const rest = buffer.subarray(begin, end);
    if (rest.length === 0) return { kind: 'clean', next: index, offset, rest: 0 };
    return { kind: isTorn(rest) ? 'torn' : 'damaged', next: index, offset, rest: rest.length };
  } finally {
    closeSync(fd);
  }
}

function fill(fd: number, buffer: Buffer, at: number, position: number): number {
  let filled = 0;
  for (;;) {
    const read = readSync(fd, buffer, at + filled, buffer.length - at - filled, position + filled);
    if (read === 0) return filled;
    filled += read;
    if (at + filled === buffer.length) return filled;
  }
}

/** The entry of a whole record at `begin` with a good checksum. */
function recordAt(buffer: Buffer, begin: number, end: number, length?: number): Buffer | undefined {
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

/**
 * Tells an unfinished last write from damage. A write that was cut leaves a prefix of records, or, after a power
 * failure, zeros where data should be. Behind damage stand whole records, or a whole record is there but for a bad
 * byte.
 */
function isTorn(rest: Buffer): boolean {
  for (let at = rest.indexOf(MARK, 3); at !== -1; at = rest.indexOf(MARK, at + 1)) {
    if (recordAt(rest, at - 2, rest.length) !== undefined) return false;
  }
  if (rest.length >= 8 && rest.subarray(-8).every((byte) => byte === 0)) return true;
  if (rest.length <= RECORD_OVERHEAD) return true;
  const length = rest.readUInt16BE(0);
  if (length + RECORD_OVERHEAD <= rest.length) return false;
  const actual = rest.length - RECORD_OVERHEAD;
  return actual > ENTRY_BYTES_MAX || recordAt(rest, 0, rest.length, actual) === undefined;
}

/** How every entry begins; it cannot stand inside one, where quotes are escaped. */
const MARK = Buffer.from('{"v":1,"id":"');
