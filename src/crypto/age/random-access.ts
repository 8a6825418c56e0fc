import type { KeyObject } from 'node:crypto';
import { cryptoProblems } from '../problems.ts';
import { looksArmored } from './armor.ts';
import { createUnwrapper, type Opening } from './file-key.ts';
import { readHeader } from './header.ts';
import {
  CHUNK_BYTES,
  checkSalt,
  openChunks,
  payloadKey,
  problemOf,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  splitChunks,
} from './payload.ts';
import { createReader } from './reader.ts';

/** A sealed file that can be read at any place. */
export interface RandomAccessSource {
  /** Bytes of the whole sealed file. */
  readonly size: number;
  /** At most `length` bytes from `offset`; fewer are read on. None before `size` means that the file is cut short. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array>;
}

export interface RandomAccess {
  /** Bytes of plaintext. It is authentic: the last chunk was verified. */
  readonly size: number;
  /**
   * The plaintext from `offset`; fewer than `length` bytes only at its end. Each chunk is verified whole before a byte of it
   * is given. Throws `crypto.tampered` or `crypto.truncated`, naming the chunk, and then gives nothing.
   */
  read(offset: number, length: number): Promise<Uint8Array>;
}

const HEADER_READ_BYTES = 4096;
/** Chunks opened at a time. */
const BATCH_CHUNKS = 16;

/**
 * Opens a binary age file for reading at any place. The last chunk is verified before anything else, so that a file cut at
 * a chunk border is refused at once. Throws as `decryptStream`.
 */
export async function createRandomAccess({
  size,
  read,
  ...opening
}: RandomAccessSource & Opening): Promise<RandomAccess> {
  const source = { size, read };
  const unwrap = createUnwrapper(opening);
  const reader = createReader(sequential(source));
  if (await looksArmored(reader))
    throw cryptoProblems.malformed_header(
      'an armored file cannot be read at any place; remove the armor first',
    );
  const header = await readHeader(reader);
  await reader.close();
  const fileKey = await unwrap(header);
  const start = header.length + SALT_BYTES;
  const key = payloadKey(fileKey, checkSalt(await readFully(source, header.length, SALT_BYTES)));
  fileKey.fill(0);
  const chunks = createChunkReader(source, start, key);
  const last = Math.max(Math.ceil((size - start) / SEALED_CHUNK_BYTES) - 1, 0);
  const tail = await chunks.read(last, last, last);
  const plaintextBytes = last * CHUNK_BYTES + tail.length;
  return {
    size: plaintextBytes,
    async read(offset, length) {
      checkPlace(offset, length);
      const end = Math.min(offset + length, plaintextBytes);
      if (offset >= end) return new Uint8Array(0);
      const plaintext = Buffer.allocUnsafe(end - offset);
      const first = Math.floor(offset / CHUNK_BYTES);
      const final = Math.floor((end - 1) / CHUNK_BYTES);
      for (let chunk = first; chunk <= final; chunk += BATCH_CHUNKS) {
        const opened = await chunks.read(chunk, Math.min(chunk + BATCH_CHUNKS - 1, final), last);
        const at = chunk * CHUNK_BYTES - offset;
        opened.copy(plaintext, Math.max(at, 0), Math.max(-at, 0));
      }
      return plaintext;
    },
  };
}

interface ChunkReader {
  /** The plaintext of the chunks `first` to `final`, both included; `last` is the number of the payload's last. */
  read(first: number, final: number, last: number): Promise<Buffer>;
}

function createChunkReader(source: RandomAccessSource, start: number, key: KeyObject): ChunkReader {
  return {
    async read(first, final, last) {
      const offset = start + first * SEALED_CHUNK_BYTES;
      const length = Math.min((final - first + 1) * SEALED_CHUNK_BYTES, source.size - offset);
      const sealed = await readFully(source, offset, length);
      if (sealed.length < length) {
        const chunk = first + Math.floor(sealed.length / SEALED_CHUNK_BYTES);
        throw problemOf({ kind: 'truncated', detail: `the file ends inside chunk ${chunk}`, chunk });
      }
      const { pieces, failure } = openChunks(
        key,
        first,
        splitChunks(sealed, SEALED_CHUNK_BYTES),
        final === last,
      );
      if (failure) throw problemOf(failure);
      return Buffer.concat(pieces);
    },
  };
}

/** Sources may give less than asked for, as files do. */
async function readFully(source: RandomAccessSource, offset: number, length: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let at = 0;
  while (at < length) {
    const piece = (await source.read(offset + at, length - at)).subarray(0, length - at);
    if (piece.length === 0) break;
    pieces.push(piece);
    at += piece.length;
  }
  return Buffer.concat(pieces);
}

async function* sequential(source: RandomAccessSource): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < source.size; ) {
    const piece = await source.read(at, Math.min(HEADER_READ_BYTES, source.size - at));
    if (piece.length === 0) return;
    at += piece.length;
    yield piece;
  }
}

function checkPlace(offset: number, length: number): void {
  for (const [name, value] of Object.entries({ offset, length })) {
    if (!Number.isSafeInteger(value) || value < 0)
      throw new RangeError(`${name} must be a whole number from 0, not ${value}`);
  }
}
