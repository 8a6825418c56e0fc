import { createPrivateKey, type KeyObject } from 'node:crypto';

export type SigningAlgorithm = 'ed25519' | 'ml-dsa-44';

export const SEED_BYTES = 32;

/** A private key in DER (PKCS #8) is this and its seed: RFC 8410 and RFC 9881. */
const PREFIXES: Readonly<Record<SigningAlgorithm, Buffer>> = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  'ml-dsa-44': Buffer.from('3034020100300b060960864801650304031104228020', 'hex'),
};

/** The private key that a seed of `SEED_BYTES` bytes stands for. */
export function signingKeyOfSeed(algorithm: SigningAlgorithm, seed: Uint8Array): KeyObject {
  const key = Buffer.concat([PREFIXES[algorithm], seed]);
  return createPrivateKey({ key, format: 'der', type: 'pkcs8' });
}
