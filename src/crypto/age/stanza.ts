import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { cryptoProblems } from '../problems.ts';

/** One recipient's copy of the file key: `-> type args…` and a body. */
export interface Stanza {
  readonly type: string;
  readonly args: readonly string[];
  readonly body: Uint8Array;
}

/** Wraps the file key for the holder of one key. */
export interface Recipient {
  wrap(fileKey: Uint8Array): Stanza;
  /** Properties that one header keeps only if all its recipients have them: recipients of other labels do not mix. */
  readonly labels?: readonly string[];
}

/**
 * Opens stanzas addressed to it. `unwrap` gives undefined if none is, and throws `crypto.malformed_header` if one of its
 * type breaks the format. Stanzas of other types are ignored.
 */
export interface Identity {
  unwrap(stanzas: readonly Stanza[]): Uint8Array | undefined | Promise<Uint8Array | undefined>;
}

/** An identity that is a key pair. */
export interface KeyIdentity extends Identity {
  /** Its public part as text: `age1…`, `age1pq1…`, `ssh-ed25519 …` or `ssh-rsa …`. */
  readonly recipient: string;
  /** The text that it was read from is of no use without a passphrase. */
  readonly locked?: boolean;
}

export const FILE_KEY_BYTES = 16;
const TAG_BYTES = 16;
/** A body of any other length must be refused before decryption, or it could be made to open under several keys. */
export const WRAPPED_BYTES = FILE_KEY_BYTES + TAG_BYTES;
const ZERO_NONCE = new Uint8Array(12);

/** Throws `crypto.malformed_header` unless the body is as long as one wrapped file key: see `WRAPPED_BYTES`. */
export function checkWrappedLength({ type, body }: Stanza): void {
  if (body.length !== WRAPPED_BYTES)
    throw cryptoProblems.malformed_header(`the body of the ${type} stanza has a wrong length`);
}

/** ChaCha20-Poly1305. The zero nonce is sound because a wrap key is used for one file key only. */
export function sealFileKey(
  wrapKey: Uint8Array,
  fileKey: Uint8Array,
  nonce: Uint8Array = ZERO_NONCE,
): Uint8Array {
  const cipher = createCipheriv('chacha20-poly1305', createSecretKey(wrapKey), nonce, { authTagLength: 16 });
  return Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
}

/** The file key, or undefined if `wrapKey` is not the key it was sealed with. */
export function openFileKey(
  wrapKey: Uint8Array,
  body: Uint8Array,
  nonce: Uint8Array = ZERO_NONCE,
): Uint8Array | undefined {
  if (body.length !== WRAPPED_BYTES) return undefined;
  const decipher = createDecipheriv('chacha20-poly1305', createSecretKey(wrapKey), nonce, {
    authTagLength: 16,
  });
  decipher.setAuthTag(body.subarray(FILE_KEY_BYTES));
  const fileKey = decipher.update(body.subarray(0, FILE_KEY_BYTES));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return fileKey;
}

/** Canonical standard base64 without padding, as headers use it. */
export function encodeRawBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64').replace(/=+$/, '');
}

/** The bytes of canonical unpadded base64, or undefined. */
export function parseRawBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return encodeRawBase64(bytes) === text ? bytes : undefined;
}
