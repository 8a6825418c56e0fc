import { generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { cryptoProblems } from '../problems.ts';
import { encodeBech32, parseBech32 } from './bech32.ts';
import { POINT_BYTES, x25519Agree, x25519Point, x25519PrivateKey } from './curve25519.ts';
import {
  checkWrappedLength,
  encodeRawBase64,
  type KeyIdentity,
  openFileKey,
  parseRawBase64,
  type Recipient,
  sealFileKey,
  type Stanza,
} from './stanza.ts';

const TYPE = 'X25519';
const INFO = 'age-encryption.org/v1/X25519';

/** A new secret key, `AGE-SECRET-KEY-1…`. */
export function generateX25519Identity(): string {
  return encodeBech32('age-secret-key-', randomBytes(POINT_BYTES)).toUpperCase();
}

/** The recipient written as `age1…`, or undefined if `text` is not an X25519 recipient. */
export function parseX25519Recipient(text: string): Recipient | undefined {
  const parsed = parseBech32(text);
  if (parsed?.hrp !== 'age' || parsed.bytes.length !== POINT_BYTES) return undefined;
  const point = parsed.bytes;
  return {
    wrap(fileKey) {
      const ephemeral = generateKeyPairSync('x25519');
      const share = x25519Point(ephemeral.publicKey);
      const secret = x25519Agree(ephemeral.privateKey, point);
      if (!secret)
        throw cryptoProblems.invalid_key('the recipient is a point of low order, which nobody can hold');
      return {
        type: TYPE,
        args: [encodeRawBase64(share)],
        body: sealFileKey(wrapKey(secret, share, point), fileKey),
      };
    },
  };
}

/** The identity written as `AGE-SECRET-KEY-1…`, or undefined if `text` is not an X25519 identity. */
export function parseX25519Identity(text: string): KeyIdentity | undefined {
  const parsed = parseBech32(text);
  if (parsed?.hrp !== 'AGE-SECRET-KEY-' || parsed.bytes.length !== POINT_BYTES) return undefined;
  const privateKey = x25519PrivateKey(parsed.bytes);
  parsed.bytes.fill(0);
  const point = x25519Point(privateKey);
  return {
    recipient: encodeBech32('age', point),
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.type !== TYPE) continue;
        const share = shareOf(stanza);
        const secret = x25519Agree(privateKey, share);
        if (!secret) throw cryptoProblems.malformed_header('an X25519 stanza has a share of low order');
        const fileKey = openFileKey(wrapKey(secret, share, point), stanza.body);
        if (fileKey) return fileKey;
      }
      return undefined;
    },
  };
}

function shareOf(stanza: Stanza): Uint8Array {
  const share = stanza.args.length === 1 ? parseRawBase64(stanza.args[0] as string) : undefined;
  if (share?.length !== POINT_BYTES)
    throw cryptoProblems.malformed_header('an X25519 stanza has malformed arguments');
  checkWrappedLength(stanza);
  return share;
}

function wrapKey(secret: Uint8Array, share: Uint8Array, recipient: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([share, recipient]), INFO, 32));
}
