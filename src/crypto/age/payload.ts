import {
  createCipheriv,
  createDecipheriv,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import type { Problem } from '../../kernel/problem.ts';
import { cryptoProblems } from '../problems.ts';
import { createReader } from './reader.ts';

/** STREAM over ChaCha20-Poly1305: the payload of age v1. */

export const CHUNK_BYTES = 64 * 1024;
export const SALT_BYTES = 16;
const TAG_BYTES = 16;
export const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
/** Chunks handled per step, so that memory stays flat when the source gives one huge piece. */
export const BATCH_CHUNKS = 16;

/** Encrypts `source`. The salt is drawn at the call; the result can be iterated once, so no key is ever used twice. */
export function sealPayload(
  fileKey: Uint8Array,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const salt = randomBytes(SALT_BYTES);
  return seal(payloadKey(fileKey, salt), salt, source);
}

async function* seal(
  key: KeyObject,
  salt: Buffer,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  let counter = 0;
  for await (const { chunks, last } of inChunks(source, CHUNK_BYTES)) {
    const sealed = sealChunks(key, counter, chunks, last);
    const bytes = Buffer.concat(counter === 0 ? [salt, ...sealed] : sealed);
    freePieces(sealed);
    yield bytes;
    counter += chunks.length;
  }
}

/**
 * Decrypts a payload. A chunk is released only after its tag was checked, and the stream ends well only after a valid
 * last chunk. Throws `crypto.tampered`, naming the chunk (counted from 0), or `crypto.truncated`.
 */
export async function* openPayload(
  fileKey: Uint8Array,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const reader = createReader(source);
  try {
    const key = payloadKey(fileKey, checkSalt(await reader.take(SALT_BYTES)));
    let counter = 0;
    for await (const { chunks, last } of inChunks(reader.rest(), SEALED_CHUNK_BYTES)) {
      const { pieces, failure } = openChunks(key, counter, chunks, last);
      const plaintext = Buffer.concat(pieces);
      freePieces(pieces);
      if (plaintext.length > 0) yield plaintext;
      if (failure) throw problemOf(failure);
      counter += chunks.length;
    }
  } finally {
    await reader.close();
  }
}

/** The key of a payload's chunks, from the salt at its start. */
export function payloadKey(fileKey: Uint8Array, salt: Uint8Array): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', fileKey, salt, 'payload', 32)));
}

/** Returns a whole salt. Throws `crypto.truncated`. */
export function checkSalt(salt: Uint8Array): Uint8Array {
  if (salt.length < SALT_BYTES) throw cryptoProblems.truncated('the file ends before the payload');
  return salt;
}

/** Seals consecutive chunks, the first of which has the number `first`. `last` marks the last of them. Pieces in order. */
export function sealChunks(
  key: KeyObject,
  first: number,
  chunks: readonly Uint8Array[],
  last: boolean,
): Buffer<ArrayBuffer>[] {
  const pieces: Buffer<ArrayBuffer>[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const nonce = chunkNonce(first + index, last && index === chunks.length - 1);
    const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: 16 });
    pieces.push(cipher.update(chunk));
    cipher.final();
    pieces.push(cipher.getAuthTag());
  }
  return pieces;
}

/**
 * Frees the memory of pieces that were handed on. Left to the collector they pile up, and the processor works on ever new
 * pages instead of the few that its cache holds.
 */
export function freePieces(pieces: readonly Buffer<ArrayBuffer>[]): void {
  for (const { buffer, byteLength } of pieces) if (byteLength === buffer.byteLength) buffer.transfer(0);
}

/** Why a chunk did not open, as data that can pass between threads. */
export interface ChunkFailure {
  readonly kind: 'tampered' | 'truncated';
  readonly detail: string;
  /** Number of the chunk, from 0. */
  readonly chunk: number;
}

export function problemOf({ kind, detail, chunk }: ChunkFailure): Problem {
  return cryptoProblems[kind](detail, { members: { chunk } });
}

/**
 * Opens consecutive chunks, the first of which has the number `first`. `last` marks the last of them as the payload's.
 * The pieces hold the plaintext of all chunks before the first that failed, and none of whose tag was not checked.
 */
export function openChunks(
  key: KeyObject,
  first: number,
  chunks: readonly Uint8Array[],
  last: boolean,
): { readonly pieces: Buffer<ArrayBuffer>[]; readonly failure?: ChunkFailure } {
  const pieces: Buffer<ArrayBuffer>[] = [];
  for (const [index, chunk] of chunks.entries()) {
    const counter = first + index;
    const final = last && index === chunks.length - 1;
    const plaintext = openChunk(key, counter, final, chunk);
    if (!plaintext || (plaintext.length === 0 && counter > 0)) {
      const { authentic, failure } = diagnose(key, counter, final, chunk);
      if (authentic) pieces.push(authentic);
      return { pieces, failure };
    }
    pieces.push(plaintext);
  }
  return { pieces };
}

/** A buffer of consecutive chunks of `size` as views of each; an empty buffer is one empty chunk. */
export function splitChunks(bytes: Uint8Array, size: number): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  do chunks.push(bytes.subarray(at, at + size));
  while ((at += size) < bytes.length);
  return chunks;
}

/** 11 bytes of big-endian counter, one byte that marks the last chunk. */
export function chunkNonce(counter: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  if (last) nonce[11] = 1;
  return nonce;
}

/** The plaintext, released only when the tag is right. */
function openChunk(
  key: KeyObject,
  counter: number,
  last: boolean,
  chunk: Uint8Array,
): Buffer<ArrayBuffer> | undefined {
  if (chunk.length < TAG_BYTES) return undefined;
  const end = chunk.length - TAG_BYTES;
  const decipher = createDecipheriv('chacha20-poly1305', key, chunkNonce(counter, last), {
    authTagLength: 16,
  });
  decipher.setAuthTag(chunk.subarray(end));
  const plaintext = decipher.update(chunk.subarray(0, end));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return plaintext;
}

interface Diagnosis {
  readonly failure: ChunkFailure;
  /** The plaintext, if the chunk is whole and in its place, and only what follows it is wrong. */
  readonly authentic?: Buffer<ArrayBuffer> | undefined;
}

/** Why a chunk did not open. One that opens under the other mark is intact: the stream around it was cut or extended. */
function diagnose(key: KeyObject, counter: number, last: boolean, chunk: Uint8Array): Diagnosis {
  const failed = (
    kind: ChunkFailure['kind'],
    detail: string,
    authentic?: Buffer<ArrayBuffer>,
  ): Diagnosis => ({ failure: { kind, detail, chunk: counter }, authentic });
  if (last && chunk.length < TAG_BYTES) return failed('truncated', `the file ends inside chunk ${counter}`);
  const authentic = chunk.length === SEALED_CHUNK_BYTES ? openChunk(key, counter, !last, chunk) : undefined;
  if (authentic) {
    return last
      ? failed('truncated', `the file ends after chunk ${counter}, which is not its last`, authentic)
      : failed('tampered', `data was added after chunk ${counter}, the last`, authentic);
  }
  const cut = last ? ', or the file was cut short inside it' : '';
  return failed('tampered', `chunk ${counter} was changed${cut}`);
}

interface Batch {
  /** Views that are valid until the next step. */
  readonly chunks: readonly Uint8Array[];
  /** The batch is one chunk, and it is the last. */
  readonly last: boolean;
}

/** Cuts a stream of any pieces into chunks of `size`; only the last may be shorter, or empty if the stream is. */
async function* inChunks(source: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Batch> {
  // A full chunk is held back until a byte after it is seen: it may turn out to be the last.
  const held = Buffer.allocUnsafe(size);
  let heldBytes = 0;
  for await (const piece of source) {
    let at = Math.min(heldBytes === 0 ? 0 : size - heldBytes, piece.length);
    held.set(piece.subarray(0, at), heldBytes);
    heldBytes += at;
    while (at < piece.length) {
      const chunks: Uint8Array[] = [];
      if (heldBytes === size) chunks.push(held);
      heldBytes = 0;
      for (; chunks.length < BATCH_CHUNKS && piece.length - at > size; at += size)
        chunks.push(piece.subarray(at, at + size));
      if (chunks.length > 0) yield { chunks, last: false };
      if (piece.length - at > size) continue;
      held.set(piece.subarray(at));
      heldBytes = piece.length - at;
      at = piece.length;
    }
  }
  yield { chunks: [held.subarray(0, heldBytes)], last: true };
}
