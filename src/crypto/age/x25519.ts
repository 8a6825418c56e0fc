import {
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { cryptoProblems } from '../problems.ts';
import { encodeBech32, parseBech32 } from './bech32.ts';
import {
  encodeRawBase64,
  type Identity,
  openFileKey,
  parseRawBase64,
  type Recipient,
  sealFileKey,
  type Stanza,
  WRAPPED_BYTES,
} from './stanza.ts';

const TYPE = 'X25519';
const INFO = 'age-encryption.org/v1/X25519';
const KEY_BYTES = 32;
/** What precedes the 32 bytes of a key in its DER form (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

export interface X25519Identity extends Identity {
  /** `age1…` */
  readonly recipient: string;
}

/** A new secret key, `AGE-SECRET-KEY-1…`. */
export function generateX25519Identity(): string {
  return encodeBech32('age-secret-key-', randomBytes(KEY_BYTES)).toUpperCase();
}

/** The recipient written as `age1…`, or undefined if `text` is not an X25519 recipient. */
export function parseX25519Recipient(text: string): Recipient | undefined {
  const parsed = parseBech32(text);
  if (parsed?.hrp !== 'age' || parsed.bytes.length !== KEY_BYTES) return undefined;
  const raw = parsed.bytes;
  const publicKey = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, raw]), format: 'der', type: 'spki' });
  return {
    wrap(fileKey) {
      const ephemeral = generateKeyPairSync('x25519');
      const share = rawPublicKey(ephemeral.publicKey);
      const secret = agree(ephemeral.privateKey, publicKey);
      if (!secret)
        throw cryptoProblems.invalid_key('the recipient is a point of low order, which nobody can hold');
      return {
        type: TYPE,
        args: [encodeRawBase64(share)],
        body: sealFileKey(wrapKey(secret, share, raw), fileKey),
      };
    },
  };
}

/** The identity written as `AGE-SECRET-KEY-1…`, or undefined if `text` is not an X25519 identity. */
export function parseX25519Identity(text: string): X25519Identity | undefined {
  const parsed = parseBech32(text);
  if (parsed?.hrp !== 'AGE-SECRET-KEY-' || parsed.bytes.length !== KEY_BYTES) return undefined;
  const der = Buffer.concat([PKCS8_PREFIX, parsed.bytes]);
  const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  parsed.bytes.fill(0);
  const raw = rawPublicKey(createPublicKey(privateKey));
  return {
    recipient: encodeBech32('age', raw),
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.type !== TYPE) continue;
        const share = shareOf(stanza);
        const publicKey = createPublicKey({
          key: Buffer.concat([SPKI_PREFIX, share]),
          format: 'der',
          type: 'spki',
        });
        const secret = agree(privateKey, publicKey);
        if (!secret) throw cryptoProblems.malformed_header('an X25519 stanza has a share of low order');
        const fileKey = openFileKey(wrapKey(secret, share, raw), stanza.body);
        if (fileKey) return fileKey;
      }
      return undefined;
    },
  };
}

function shareOf({ args, body }: Stanza): Uint8Array {
  const share = args.length === 1 ? parseRawBase64(args[0] as string) : undefined;
  if (share?.length !== KEY_BYTES)
    throw cryptoProblems.malformed_header('an X25519 stanza has malformed arguments');
  if (body.length !== WRAPPED_BYTES)
    throw cryptoProblems.malformed_header('an X25519 stanza has a body of wrong length');
  return share;
}

/** The shared secret, or undefined if it is all zero: OpenSSL fails on points of low order. */
function agree(privateKey: KeyObject, publicKey: KeyObject): Buffer | undefined {
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return undefined;
  }
}

function wrapKey(secret: Uint8Array, share: Uint8Array, recipient: Uint8Array): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([share, recipient]), INFO, 32));
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return key.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}
