import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { HASH_BYTES, leafHashInPlace } from '../tree.ts';
import type { WalFiles } from './files.ts';
import { RECORD_OVERHEAD, type Segment, segmentAt } from './segment.ts';

/** Puts groups of entries on the disk. It owns the live segment and knows no thread. */
export interface Committer {
  /**
   * Writes the entries and flushes. When it returns they are durable; the result is their leaf hashes, 32 bytes each.
   * If it throws, the state of the disk is unknown: nothing may be committed any more, and a flush that failed is never
   * tried again, because the next one may succeed without having written anything.
   */
  commit(texts: readonly string[]): Uint8Array;
  /** Throws if the live segment was removed, replaced or renamed. */
  check(): void;
  close(): void;
}

export function createCommitter({ directory, first, files, segmentBytes }: CommitterOptions): Committer {
  let next = first;
  let segment: Segment;
  let fd: number;
  let written: number;
  let buffer = Buffer.allocUnsafe(1 << 16);
  let failed = false;
  begin();
  return {
    commit: (texts) => guarded(() => commit(texts)),
    check: () => guarded(check),
    close: () => files.close(fd),
  };

  function guarded<T>(work: () => T): T {
    if (failed) throw new Error('an earlier write to the audit log failed');
    try {
      return work();
    } catch (error) {
      failed = true;
      throw error;
    }
  }

  function begin(): void {
    segment = segmentAt(directory, next);
    fd = files.open(segment.path);
    written = files.size(fd);
    if (written > 0) throw new Error(`${segment.file} is in use: does another server run on this log?`);
    files.sync(fd);
    files.syncDirectory(dirname(segment.path));
  }

  function commit(texts: readonly string[]): Uint8Array {
    if (written >= segmentBytes) {
      files.close(fd);
      begin();
    }
    // Not from Node's pool: posting a view posts all that it is a view of.
    const leaves = new Uint8Array(texts.length * HASH_BYTES);
    const length = encode(texts, leaves);
    const count = files.write(fd, buffer.subarray(0, length));
    if (count !== length)
      throw new Error(`${segment.file}: ${count} of ${length} bytes were written; is the disk full?`);
    files.sync(fd);
    check();
    written += length;
    next += texts.length;
    return leaves;
  }

  function check(): void {
    if (!files.isAt(fd, segment.path))
      throw new Error(`${segment.file} was removed, replaced or renamed while in use`);
  }

  function encode(texts: readonly string[], leaves: Uint8Array): number {
    let end = 0;
    texts.forEach((text, at) => {
      // A UTF-16 unit is at most three bytes of UTF-8.
      reserve(end, text.length * 3 + RECORD_OVERHEAD);
      const length = buffer.write(text, end + 2);
      const last = end + 2 + length;
      leaves.set(leafHashInPlace(buffer, end + 2, last), at * HASH_BYTES);
      buffer.writeUInt16BE(length, end);
      buffer.writeUInt32BE(crc32(buffer.subarray(end, last)), last);
      end = last + 4;
    });
    return end;
  }

  function reserve(used: number, more: number): void {
    if (used + more <= buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, used + more));
    buffer.copy(larger, 0, 0, used);
    buffer = larger;
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
