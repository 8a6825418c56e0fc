import type { KeyObject } from 'node:crypto';
import { readSync, writevSync } from 'node:fs';
import {
  CHUNK_BYTES,
  type ChunkFailure,
  freePieces,
  openChunks,
  SEALED_CHUNK_BYTES,
  sealChunks,
  splitChunks,
} from '../age/payload.ts';
import { codeOf } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';

/** A payload cut into segments that any thread may do in any order, by positional reads and writes. */

/** 256 KiB of plaintext: what a segment needs in memory fits a core's cache, and yet its system calls cost little. */
export const SEGMENT_CHUNKS = 4;

export interface PayloadPlan {
  readonly direction: 'seal' | 'open';
  /** Where the chunks start: behind header and salt on the sealed side, at 0 on the other. */
  readonly inputStart: number;
  readonly outputStart: number;
  /** Length of all chunks in the input. */
  readonly inputBytes: number;
}

/** An open file. As the system calls do, both may stop short of what was asked. */
export interface PositionalFile {
  /** Returns the bytes read, 0 at the end of the file. */
  read(buffer: Uint8Array, offset: number, length: number, position: number): number;
  /** Returns the bytes written. */
  write(pieces: readonly Uint8Array[], position: number): number;
}

/** The file behind a descriptor, which may belong to another thread of the process. */
export function fileOf(descriptor: number): PositionalFile {
  return {
    read: (buffer, offset, length, position) => readSync(descriptor, buffer, offset, length, position),
    write: (pieces, position) => writevSync(descriptor, pieces, position),
  };
}

export function segmentCount({ direction, inputBytes }: PayloadPlan): number {
  return Math.max(1, Math.ceil(inputBytes / (SEGMENT_CHUNKS * chunkBytes(direction).input)));
}

/** Input bytes of all segments before `segment`. */
export function segmentStart({ direction, inputBytes }: PayloadPlan, segment: number): number {
  return Math.min(inputBytes, segment * SEGMENT_CHUNKS * chunkBytes(direction).input);
}

/**
 * Does one segment after another on this thread. `run` gives the failure of the first chunk of the segment that does not
 * open; nothing of that segment is written then. Throws
 * `crypto.input_unreadable`, also if the input shrank, and the errors of writing.
 */
export function createSegmentRunner({
  plan,
  key,
  input,
  output,
}: {
  readonly plan: PayloadPlan;
  readonly key: KeyObject;
  readonly input: Pick<PositionalFile, 'read'>;
  readonly output: Pick<PositionalFile, 'write'>;
}): { run(segment: number): ChunkFailure | undefined } {
  const size = chunkBytes(plan.direction);
  const count = segmentCount(plan);
  const buffer = Buffer.allocUnsafeSlow(SEGMENT_CHUNKS * size.input);
  return {
    run(segment) {
      const start = segmentStart(plan, segment);
      const bytes = buffer.subarray(0, segmentStart(plan, segment + 1) - start);
      readAll(input, bytes, plan.inputStart + start);
      const first = segment * SEGMENT_CHUNKS;
      const last = segment === count - 1;
      const chunks = splitChunks(bytes, size.input);
      const position = plan.outputStart + first * size.output;
      if (plan.direction === 'seal') {
        const pieces = sealChunks(key, first, chunks, last);
        writeAll(output, pieces, position);
        freePieces(pieces);
        return undefined;
      }
      const { pieces, failure } = openChunks(key, first, chunks, last);
      if (!failure) writeAll(output, pieces, position);
      freePieces(pieces);
      return failure;
    },
  };
}

function chunkBytes(direction: PayloadPlan['direction']): {
  readonly input: number;
  readonly output: number;
} {
  return direction === 'seal'
    ? { input: CHUNK_BYTES, output: SEALED_CHUNK_BYTES }
    : { input: SEALED_CHUNK_BYTES, output: CHUNK_BYTES };
}

function readAll(file: Pick<PositionalFile, 'read'>, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length; ) {
    const read = readSome(file, bytes, at, position + at);
    if (read === 0) throw cryptoProblems.input_unreadable('the input became shorter while it was read');
    at += read;
  }
}

/** Named as the input's error here: further up, nobody can tell it from one of the output. */
function readSome(
  file: Pick<PositionalFile, 'read'>,
  bytes: Uint8Array,
  at: number,
  position: number,
): number {
  try {
    return file.read(bytes, at, bytes.length - at, position);
  } catch (error) {
    throw cryptoProblems.input_unreadable(`the input cannot be read (${codeOf(error)})`, { cause: error });
  }
}

function writeAll(
  file: Pick<PositionalFile, 'write'>,
  pieces: readonly Uint8Array[],
  position: number,
): void {
  let left = pieces.filter((piece) => piece.length > 0);
  let at = position;
  while (left.length > 0) {
    let written = file.write(left, at);
    if (written === 0) throw new Error('the output takes no more data');
    at += written;
    let whole = 0;
    for (; whole < left.length && written >= (left[whole] as Uint8Array).length; whole++)
      written -= (left[whole] as Uint8Array).length;
    left = left.slice(whole);
    if (written > 0) left[0] = (left[0] as Uint8Array).subarray(written);
  }
}
