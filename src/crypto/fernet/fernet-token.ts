import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';
import { encodePaddedBase64Url } from './token-text.ts';

/** The bytes of one Fernet token (github.com/fernet/spec): version, time, IV, ciphertext, HMAC. Pure; knows no policy. */

export interface FernetKey {
  readonly sign: KeyObject;
  readonly encrypt: KeyObject;
}

const VERSION = 0x80;
const IV_AT = 9;
const CIPHERTEXT_AT = 25;
const BLOCK_BYTES = 16;
const MAC_BYTES = 32;
const TOKEN_BYTES_MIN = CIPHERTEXT_AT + BLOCK_BYTES + MAC_BYTES;

/** Seconds since 1970 are 64 bits, unsigned. */
export const SECONDS_MAX = 2n ** 64n - 1n;

/** A key of 32 bytes, 16 to sign and 16 to encrypt, or undefined. The bytes are zeroed. */
export function importFernetKey(bytes: Uint8Array): FernetKey | undefined {
  if (bytes.length !== 32) return undefined;
  const key = { sign: createSecretKey(bytes.subarray(0, 16)), encrypt: createSecretKey(bytes.subarray(16)) };
  bytes.fill(0);
  return key;
}

/** `seconds` since 1970; `iv` 16 fresh random bytes. */
export function sealToken(
  key: FernetKey,
  {
    seconds,
    iv,
    plaintext,
  }: { readonly seconds: bigint; readonly iv: Uint8Array; readonly plaintext: Uint8Array },
): string {
  const head = Buffer.alloc(CIPHERTEXT_AT);
  head[0] = VERSION;
  head.writeBigUInt64BE(seconds, 1);
  head.set(iv, IV_AT);
  const cipher = createCipheriv('aes-128-cbc', key.encrypt, iv);
  const signed = Buffer.concat([head, cipher.update(plaintext), cipher.final()]);
  return encodePaddedBase64Url(Buffer.concat([signed, macOf(key, signed)]));
}

/** A token that is well-formed; nothing about it is verified. */
export interface ParsedToken {
  readonly seconds: bigint;
  readonly bytes: Buffer;
}

/** Undefined unless the bytes have the form of a token. */
export function parseToken(bytes: Buffer): ParsedToken | undefined {
  if (bytes.length < TOKEN_BYTES_MIN || bytes[0] !== VERSION) return undefined;
  if ((bytes.length - CIPHERTEXT_AT - MAC_BYTES) % BLOCK_BYTES !== 0) return undefined;
  return { seconds: bytes.readBigUInt64BE(1), bytes };
}

/** Claims that `key` signed the token. In constant time. */
export function isSignedBy(key: FernetKey, { bytes }: ParsedToken): boolean {
  const end = bytes.length - MAC_BYTES;
  return timingSafeEqual(macOf(key, bytes.subarray(0, end)), bytes.subarray(end));
}

/** The plaintext, or undefined if its padding is wrong. Call it only after `isSignedBy`, or it is a padding oracle. */
export function decryptToken(key: FernetKey, { bytes }: ParsedToken): Buffer | undefined {
  const decipher = createDecipheriv('aes-128-cbc', key.encrypt, bytes.subarray(IV_AT, CIPHERTEXT_AT));
  const start = decipher.update(bytes.subarray(CIPHERTEXT_AT, bytes.length - MAC_BYTES));
  try {
    return Buffer.concat([start, decipher.final()]);
  } catch {
    return undefined;
  }
}

/** Bytes of the token that carries `plaintextBytes`. */
export function tokenBytes(plaintextBytes: number): number {
  return CIPHERTEXT_AT + (Math.floor(plaintextBytes / BLOCK_BYTES) + 1) * BLOCK_BYTES + MAC_BYTES;
}

function macOf(key: FernetKey, signed: Uint8Array): Buffer {
  return createHmac('sha256', key.sign).update(signed).digest();
}
