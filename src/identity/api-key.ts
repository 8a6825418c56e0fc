import { createHmac, type KeyObject, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

/**
 * The text of an API key: `mk_<public 10>_<secret 32><checksum 6>`, all base62. 190 random bits; the checksum is the
 * CRC-32 of everything before it, so that a typo, or a scanner's false alarm, is known without a look-up.
 * For secret scanners: `mk_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}`.
 */
export function newApiKeyText(): { readonly text: string; readonly publicId: string } {
  const publicId = randomBase62(10);
  const unchecked = `mk_${publicId}_${randomBase62(32)}`;
  return { text: unchecked + checksum(unchecked), publicId };
}

/** The public id of a well-formed key with a right checksum, or undefined. Looks nothing up. */
export function parseApiKeyText(text: string): { readonly publicId: string } | undefined {
  if (text.length !== LENGTH || !SHAPE.test(text)) return undefined;
  return checksum(text.slice(0, -6)) === text.slice(-6) ? { publicId: text.slice(3, 13) } : undefined;
}

/** Claims that `text` looks like an API key, right or wrong: it is then never taken for a password. */
export function isApiKeyShaped(text: string): boolean {
  return SHAPE.test(text);
}

/** HMAC-SHA-256 of the whole text. A KeyObject: with a raw buffer each call would import the key again, 6–9 times slower. */
export function macOfApiKey(text: string, key: KeyObject): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

const SHAPE = /^mk_[0-9A-Za-z]{10}_[0-9A-Za-z]{38}$/;
const LENGTH = 52;
const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function checksum(text: string): string {
  let digits = '';
  for (let rest = crc32(text), i = 0; i < 6; i++, rest = Math.floor(rest / 62)) {
    digits = ALPHABET.charAt(rest % 62) + digits;
  }
  return digits;
}

function randomBase62(length: number): string {
  let text = '';
  while (text.length < length) {
    for (const byte of randomBytes(length * 2)) {
      // 248 = 4 × 62: bytes above it would favour the first letters.
      if (byte < 248 && text.length < length) text += ALPHABET.charAt(byte % 62);
    }
  }
  return text;
}
