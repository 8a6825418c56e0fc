import { HASH_BYTES } from '../tree.ts';
import { GROUP_BYTES_MAX, RECORD_OVERHEAD } from './record.ts';

/**
 * Memory that the serving thread and the writer's thread share. One group of entries lies in it at a time, laid out as
 * the records of a segment; the leaf hashes come back in it. A message between threads would cost each side a copy and
 * a turn of its event loop.
 */
export interface Handover {
  readonly memory: SharedArrayBuffer;
  /** Whose turn it is: `IDLE`, `GROUP` or `CLOSE`. */
  readonly control: Int32Array;
  readonly records: Buffer;
  readonly leaves: Uint8Array;
}

export const TURN = 0;
export const COUNT = 1;
export const LENGTH = 2;

/** Nothing is asked, or what was asked is done. */
export const IDLE = 0;
export const GROUP = 1;
export const CLOSE = 2;

const GROUP_COUNT_MAX = 1024;
const CONTROL_BYTES = 64;
const LEAVES_BYTES = GROUP_COUNT_MAX * HASH_BYTES;

export function createHandover(
  memory = new SharedArrayBuffer(CONTROL_BYTES + LEAVES_BYTES + GROUP_BYTES_MAX),
): Handover {
  return {
    memory,
    control: new Int32Array(memory, 0, CONTROL_BYTES / 4),
    leaves: new Uint8Array(memory, CONTROL_BYTES, LEAVES_BYTES),
    records: Buffer.from(memory, CONTROL_BYTES + LEAVES_BYTES, GROUP_BYTES_MAX),
  };
}

/** Lays out as many of `texts` as fit, each with room for its checksum; returns how many, with their bytes. */
export function layOut(
  { records }: Pick<Handover, 'records'>,
  texts: readonly { readonly text: string }[],
): { readonly count: number; readonly length: number } {
  let count = 0;
  let end = 0;
  for (const { text } of texts) {
    const room = records.length - end - RECORD_OVERHEAD;
    // A UTF-16 unit is at most three bytes of UTF-8.
    if (count === GROUP_COUNT_MAX || (text.length * 3 > room && Buffer.byteLength(text) > room)) break;
    const length = records.write(text, end + 2);
    records.writeUInt16BE(length, end);
    end += length + RECORD_OVERHEAD;
    count++;
  }
  return { count, length: end };
}
