import { closeSync, openSync, readdirSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { RECORD_BYTES_MAX, RECORD_OVERHEAD, recordAt } from './record.ts';
import { classifyTail, lengthWithoutZeros, type TailKind } from './tail.ts';

/**
 * The write-ahead log: files `wal/<index of the first entry>.seg`, each a row of records
 * `length (2, big endian) | entry | CRC-32 of length and entry (4, big endian)`, and zeros up to where room was made.
 */

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
  readonly kind: TailKind;
  /** Index after the last good record. */
  readonly next: number;
  /** Byte after the last good record. */
  readonly offset: number;
  /** Bytes behind it; and how many of them there are up to the last that is not zero. */
  readonly rest: number;
  readonly torn: number;
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
    return { next: index, ...endAt(fd, buffer, offset) };
  } finally {
    closeSync(fd);
  }
}

function endAt(fd: number, buffer: Buffer, offset: number): Omit<SegmentEnd, 'next'> {
  let rest = fill(fd, buffer, 0, offset);
  let { kind, bytes: torn } = classifyTail(buffer.subarray(0, rest), offset);
  while (rest > 0 && rest % buffer.length === 0) {
    const more = fill(fd, buffer, 0, offset + rest);
    const bytes = lengthWithoutZeros(buffer.subarray(0, more));
    if (bytes > 0) {
      kind = 'damaged';
      torn = rest + bytes;
    }
    if (more === 0) break;
    rest += more;
  }
  return { kind, offset, rest, torn };
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
