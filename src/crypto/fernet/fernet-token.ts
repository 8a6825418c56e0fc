import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto';

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

/** The key as text: 32 bytes (16 to sign, 16 to encrypt) in canonical padded base64url, or undefined. */
export function parseFernetKey(text: string): FernetKey | undefined {
  const bytes = parsePaddedBase64Url(text);
  if (bytes?.length !== 32) return undefined;
  const key = { sign: createSecretKey(bytes.subarray(0, 16)), encrypt: createSecretKey(bytes.subarray(16)) };
  bytes.fill(0);
  return key;
}

/** `seconds` since 1970, a whole number; `iv` 16 fresh random bytes. */
export function sealToken(
  key: FernetKey,
  {
    seconds,
    iv,
    plaintext,
  }: { readonly seconds: number; readonly iv: Uint8Array; readonly plaintext: Uint8Array },
): string {
  const head = Buffer.alloc(CIPHERTEXT_AT);
  head[0] = VERSION;
  head.writeBigUInt64BE(BigInt(seconds), 1);
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

/** Undefined unless `text` is the canonical text of bytes that have the form of a token. */
export function parseToken(text: string): ParsedToken | undefined {
  const bytes = parsePaddedBase64Url(text);
  if (!bytes || bytes.length < TOKEN_BYTES_MIN || bytes[0] !== VERSION) return undefined;
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

export function encodePaddedBase64Url(bytes: Buffer): string {
  const text = bytes.toString('base64url');
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}

function parsePaddedBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return encodePaddedBase64Url(bytes) === text ? bytes : undefined;
}

function macOf(key: FernetKey, signed: Uint8Array): Buffer {
  return createHmac('sha256', key.sign).update(signed).digest();
}
