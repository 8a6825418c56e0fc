import {
  createHash,
  createPrivateKey,
  createPublicKey,
  decapsulate,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { POINT_BYTES, x25519Agree, x25519Point, x25519PrivateKey } from './curve25519.ts';

/** MLKEM768-X25519, also known as X-Wing: the hybrid KEM of filippo.io/hpke-pq. */

export const X_WING_SEED_BYTES = 32;
export const X_WING_PUBLIC_KEY_BYTES = 1184 + POINT_BYTES;
export const X_WING_CIPHERTEXT_BYTES = 1088 + POINT_BYTES;
const ML_KEM_SEED_BYTES = 64;
/** What precedes the seed of an ML-KEM-768 key, and its encapsulation key, in DER (draft-ietf-lamps-kyber-certificates). */
const PKCS8_PREFIX = Buffer.from('3054020100300b060960864801650304040204428040', 'hex');
const SPKI_PREFIX = Buffer.from('308204b2300b0609608648016503040402038204a100', 'hex');
const LABEL = Buffer.from('\\.//^\\');

export interface XWingPublicKey {
  readonly bytes: Uint8Array;
  /** A fresh shared secret and its ciphertext; undefined if the X25519 part is of low order. */
  encapsulate(): { readonly sharedSecret: Uint8Array; readonly ciphertext: Uint8Array } | undefined;
}

export interface XWingPrivateKey {
  readonly publicKey: Uint8Array;
  /** The shared secret, another one for each key: a wrong key shows later. Undefined for a share of low order. */
  decapsulate(ciphertext: Uint8Array): Uint8Array | undefined;
}

/** Undefined unless `bytes` are a public key; ML-KEM's modulus check is part of it. */
export function parseXWingPublicKey(bytes: Uint8Array): XWingPublicKey | undefined {
  if (bytes.length !== X_WING_PUBLIC_KEY_BYTES) return undefined;
  const lattice = bytes.subarray(0, -POINT_BYTES);
  const point = bytes.subarray(-POINT_BYTES);
  let latticeKey: KeyObject;
  try {
    latticeKey = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, lattice]),
      format: 'der',
      type: 'spki',
    });
  } catch {
    return undefined;
  }
  return {
    bytes,
    encapsulate() {
      const ephemeral = generateKeyPairSync('x25519');
      const share = x25519Point(ephemeral.publicKey);
      const agreed = x25519Agree(ephemeral.privateKey, point);
      if (!agreed) return undefined;
      const { sharedKey, ciphertext } = encapsulate(latticeKey);
      return {
        sharedSecret: combine(sharedKey, agreed, share, point),
        ciphertext: Buffer.concat([ciphertext, share]),
      };
    },
  };
}

/** The private key that 32 random bytes stand for. */
export function createXWingPrivateKey(seed: Uint8Array): XWingPrivateKey {
  const expanded = createHash('shake256', { outputLength: ML_KEM_SEED_BYTES + POINT_BYTES })
    .update(seed)
    .digest();
  const der = Buffer.concat([PKCS8_PREFIX, expanded.subarray(0, ML_KEM_SEED_BYTES)]);
  const latticeKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const curveKey = x25519PrivateKey(expanded.subarray(ML_KEM_SEED_BYTES));
  der.fill(0);
  expanded.fill(0);
  const lattice = createPublicKey(latticeKey)
    .export({ format: 'der', type: 'spki' })
    .subarray(SPKI_PREFIX.length);
  const point = x25519Point(curveKey);
  return {
    publicKey: Buffer.concat([lattice, point]),
    decapsulate(ciphertext) {
      const share = ciphertext.subarray(-POINT_BYTES);
      const agreed = x25519Agree(curveKey, share);
      if (!agreed) return undefined;
      const sharedKey = decapsulate(latticeKey, ciphertext.subarray(0, -POINT_BYTES));
      return combine(sharedKey, agreed, share, point);
    },
  };
}

function combine(
  latticeSecret: Uint8Array,
  curveSecret: Uint8Array,
  share: Uint8Array,
  point: Uint8Array,
): Uint8Array {
  return createHash('sha3-256')
    .update(latticeSecret)
    .update(curveSecret)
    .update(share)
    .update(point)
    .update(LABEL)
    .digest();
}
