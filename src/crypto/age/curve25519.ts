import { createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';

/** X25519 (RFC 7748) on raw keys of 32 bytes, as every kind of age key over this curve needs it. */

export const POINT_BYTES = 32;
/** What precedes the 32 bytes of a key in its DER form (RFC 8410). */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');

/** The private key of 32 bytes; clamping is part of its use. */
export function x25519PrivateKey(scalar: Uint8Array): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX, scalar]);
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  } finally {
    der.fill(0);
  }
}

export function x25519PublicKey(point: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([SPKI_PREFIX, point]), format: 'der', type: 'spki' });
}

/** The 32 bytes of the public key, also of a private key's. */
export function x25519Point(key: KeyObject): Uint8Array {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);
}

/** The shared secret, or undefined if it is all zero: OpenSSL fails on points of low order. */
export function x25519Agree(privateKey: KeyObject, point: Uint8Array): Buffer | undefined {
  const publicKey = x25519PublicKey(point);
  try {
    return diffieHellman({ privateKey, publicKey });
  } catch {
    return undefined;
  }
}
