import { randomBytes } from 'node:crypto';
import { cryptoProblems } from '../problems.ts';
import { encodeBech32, parseBech32 } from './bech32.ts';
import { hpkeKeys } from './hpke.ts';
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
import {
  createXWingPrivateKey,
  parseXWingPublicKey,
  X_WING_CIPHERTEXT_BYTES,
  X_WING_SEED_BYTES,
} from './x-wing.ts';

/** The post-quantum recipient type of age v1: HPKE over the MLKEM768-X25519 KEM. */

export const POST_QUANTUM_TYPE = 'mlkem768x25519';
const INFO = 'age-encryption.org/mlkem768x25519';
const KEM_ID = 0x647a;
export const POST_QUANTUM_LABEL = 'postquantum';

/** A new secret key, `AGE-SECRET-KEY-PQ-1…`. */
export function generateHybridIdentity(): string {
  return encodeBech32('age-secret-key-pq-', randomBytes(X_WING_SEED_BYTES)).toUpperCase();
}

/** The recipient written as `age1pq1…`, or undefined if `text` is not a hybrid recipient. */
export function parseHybridRecipient(text: string): Recipient | undefined {
  const parsed = parseBech32(text);
  const publicKey = parsed?.hrp === 'age1pq' ? parseXWingPublicKey(parsed.bytes) : undefined;
  if (!publicKey) return undefined;
  return {
    labels: [POST_QUANTUM_LABEL],
    wrap(fileKey) {
      const sent = publicKey.encapsulate();
      if (!sent)
        throw cryptoProblems.invalid_key('the recipient is a point of low order, which nobody can hold');
      const { key, nonce } = hpkeKeys(KEM_ID, sent.sharedSecret, INFO);
      return {
        type: POST_QUANTUM_TYPE,
        args: [encodeRawBase64(sent.ciphertext)],
        body: sealFileKey(key, fileKey, nonce),
      };
    },
  };
}

/** The identity written as `AGE-SECRET-KEY-PQ-1…`, or undefined if `text` is not a hybrid identity. */
export function parseHybridIdentity(text: string): KeyIdentity | undefined {
  const parsed = parseBech32(text);
  if (parsed?.hrp !== 'AGE-SECRET-KEY-PQ-' || parsed.bytes.length !== X_WING_SEED_BYTES) return undefined;
  const privateKey = createXWingPrivateKey(parsed.bytes);
  parsed.bytes.fill(0);
  return {
    recipient: encodeBech32('age1pq', privateKey.publicKey),
    unwrap(stanzas) {
      for (const stanza of stanzas) {
        if (stanza.type !== POST_QUANTUM_TYPE) continue;
        const sharedSecret = privateKey.decapsulate(encapsulatedKeyOf(stanza));
        if (!sharedSecret)
          throw cryptoProblems.malformed_header(`the ${POST_QUANTUM_TYPE} stanza has a share of low order`);
        const { key, nonce } = hpkeKeys(KEM_ID, sharedSecret, INFO);
        const fileKey = openFileKey(key, stanza.body, nonce);
        if (fileKey) return fileKey;
      }
      return undefined;
    },
  };
}

function encapsulatedKeyOf(stanza: Stanza): Uint8Array {
  const encapsulated = stanza.args.length === 1 ? parseRawBase64(stanza.args[0] as string) : undefined;
  if (encapsulated?.length !== X_WING_CIPHERTEXT_BYTES)
    throw cryptoProblems.malformed_header(`the ${POST_QUANTUM_TYPE} stanza has malformed arguments`);
  checkWrappedLength(stanza);
  return encapsulated;
}
