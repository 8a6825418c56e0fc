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
const TAG_BYTES = 16;
const SALT_BYTES = 16;
const SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES;
/** Chunks handled per step, so that memory stays flat when the source gives one huge piece. */
const BATCH = 16;

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
    const sealed: Buffer[] = counter === 0 ? [salt] : [];
    for (const chunk of chunks) {
      const cipher = createCipheriv('chacha20-poly1305', key, chunkNonce(counter++, last), {
        authTagLength: 16,
      });
      sealed.push(cipher.update(chunk));
      cipher.final();
      sealed.push(cipher.getAuthTag());
    }
    yield Buffer.concat(sealed);
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
    const salt = await reader.take(SALT_BYTES);
    if (salt.length < SALT_BYTES) throw cryptoProblems.truncated('the file ends before the payload');
    const key = payloadKey(fileKey, salt);
    let counter = 0;
    for await (const { chunks, last } of inChunks(reader.rest(), SEALED_CHUNK_BYTES)) {
      const opened: Buffer[] = [];
      let failure: Failure | undefined;
      for (const chunk of chunks) {
        const plaintext = openChunk(key, counter, last, chunk);
        if (!plaintext || (plaintext.length === 0 && counter > 0)) {
          failure = diagnose(key, counter, last, chunk);
          if (failure.authentic) opened.push(failure.authentic);
          break;
        }
        opened.push(plaintext);
        counter++;
      }
      const plaintext = opened.length === 1 ? (opened[0] as Buffer) : Buffer.concat(opened);
      if (plaintext.length > 0) yield plaintext;
      if (failure) throw failure.problem;
    }
  } finally {
    await reader.close();
  }
}

/** 11 bytes of big-endian counter, one byte that marks the last chunk. */
export function chunkNonce(counter: number, last: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  if (last) nonce[11] = 1;
  return nonce;
}

function openChunk(key: KeyObject, counter: number, last: boolean, chunk: Uint8Array): Buffer | undefined {
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

interface Failure {
  readonly problem: Problem;
  /** The plaintext, if the chunk is whole and in its place, and only what follows it is wrong. */
  readonly authentic?: Buffer;
}

/** Why a chunk did not open. One that opens under the other mark is intact: the stream around it was cut or extended. */
function diagnose(key: KeyObject, counter: number, last: boolean, chunk: Uint8Array): Failure {
  const members = { chunk: counter };
  if (last && chunk.length < TAG_BYTES) {
    return { problem: cryptoProblems.truncated(`the file ends inside chunk ${counter}`, { members }) };
  }
  const authentic = chunk.length === SEALED_CHUNK_BYTES ? openChunk(key, counter, !last, chunk) : undefined;
  if (authentic) {
    const problem = last
      ? cryptoProblems.truncated(`the file ends after chunk ${counter}, which is not its last`, { members })
      : cryptoProblems.tampered(`data was added after chunk ${counter}, the last`, { members });
    return { problem, authentic };
  }
  const cut = last ? ', or the file was cut short inside it' : '';
  return { problem: cryptoProblems.tampered(`chunk ${counter} was changed${cut}`, { members }) };
}

function payloadKey(fileKey: Uint8Array, salt: Uint8Array): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', fileKey, salt, 'payload', 32)));
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
      for (; chunks.length < BATCH && piece.length - at > size; at += size)
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
