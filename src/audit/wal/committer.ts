import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { HASH_BYTES, leafHashInPlace } from '../tree.ts';
import type { FileFacts, WalFiles } from './files.ts';
import { RECORD_OVERHEAD } from './record.ts';
import { type Segment, segmentAt } from './segment.ts';

/** Puts groups of entries on the disk. It owns the live segment and knows no thread. */
export interface Committer {
  /**
   * Writes `count` records, whose checksums it fills in, and flushes. When it returns they are durable, and their leaf
   * hashes, 32 bytes each, stand in `leaves`. If it throws, the state of the disk is unknown: nothing may be committed
   * any more, and a flush that failed is never tried again, because the next one may succeed without having written
   * anything.
   */
  commit(records: Buffer, count: number, leaves: Uint8Array): void;
  /** Work that would make the next commit wait: room ahead, and a new segment when this one is full. */
  prepare(): void;
  /** Throws if the live segment was removed, replaced or renamed. */
  check(): void;
  /** Gives back the room that was not used. */
  close(): void;
}

/**
 * Zeros are written ahead of the records, so that a flush finds the file as long as it needs to be: it then waits for
 * the records alone, and not for the journal of the file system.
 */
const ROOM_BYTES = 1 << 19;
const ZEROS = Buffer.alloc(ROOM_BYTES);

export function createCommitter({ directory, first, files, segmentBytes }: CommitterOptions): Committer {
  const step = Math.min(ROOM_BYTES, segmentBytes);
  let next = first;
  let segment: Segment;
  let fd: number;
  let file: FileFacts;
  let written: number;
  let room: number;
  let failed = false;
  begin();
  return {
    commit: (records, count, leaves) => guarded(() => commit(records, count, leaves)),
    prepare: () => guarded(prepare),
    check: () => guarded(check),
    close() {
      if (failed) files.close(fd);
      else guarded(end);
    },
  };

  function guarded(work: () => void): void {
    if (failed) throw new Error('an earlier write to the audit log failed');
    try {
      work();
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  function begin(): void {
    segment = segmentAt(directory, next);
    fd = files.open(segment.path);
    file = files.stat(fd);
    if (file.size > 0) throw new Error(`${segment.file} is in use: does another server run on this log?`);
    written = 0;
    room = 0;
    reserve(step);
    files.sync(fd);
    files.syncDirectory(dirname(segment.path));
  }

  /** Only the last segment may have zeros at its end: they are gone for good before there is another. */
  function end(): void {
    files.truncate(fd, written);
    files.sync(fd);
    files.close(fd);
  }

  function commit(records: Buffer, count: number, leaves: Uint8Array): void {
    finish(records, count, leaves);
    if (written + records.length > room) reserve(written + records.length);
    put(records, written);
    files.sync(fd);
    check();
    written += records.length;
    next += count;
  }

  function prepare(): void {
    if (written >= segmentBytes) {
      end();
      begin();
    } else if (room - written < step / 2) {
      reserve(room + step);
      files.sync(fd);
    }
  }

  function check(): void {
    if (!files.isAt(file, segment.path))
      throw new Error(`${segment.file} was removed, replaced or renamed while in use`);
  }

  function reserve(bytes: number): void {
    while (room < bytes) {
      const zeros = ZEROS.subarray(0, Math.min(ROOM_BYTES, Math.max(step, bytes - room)));
      put(zeros, room);
      room += zeros.length;
    }
  }

  function put(bytes: Uint8Array, position: number): void {
    const count = files.write(fd, bytes, position);
    if (count !== bytes.length)
      throw new Error(`${segment.file}: ${count} of ${bytes.length} bytes were written; is the disk full?`);
  }
}

/** Fills in the checksums of the records and hashes their entries. */
function finish(records: Buffer, count: number, leaves: Uint8Array): void {
  let begin = 0;
  for (let at = 0; at < count; at++) {
    const length = records.readUInt16BE(begin);
    const last = begin + 2 + length;
    leaves.set(leafHashInPlace(records, begin + 2, last), at * HASH_BYTES);
    records.writeUInt16BE(length, begin);
    records.writeUInt32BE(crc32(records.subarray(begin, last)), last);
    begin += length + RECORD_OVERHEAD;
  }
}

export interface CommitterOptions {
  readonly directory: string;
  /** Index of the next entry. */
  readonly first: number;
  readonly files: WalFiles;
  /** A segment that has grown to this is followed by a new one. */
  readonly segmentBytes: number;
}
