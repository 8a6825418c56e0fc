import { createHmac, createSecretKey } from 'node:crypto';

/** HPKE (RFC 9180) in base mode with HKDF-SHA256 and ChaCha20-Poly1305, for the one message that age seals with it. */

const VERSION = Buffer.from('HPKE-v1');
const MODE_BASE = Buffer.of(0);
const KDF_AND_AEAD = Buffer.from('00010003', 'hex');
const EMPTY = new Uint8Array(0);

/** The key and the nonce of the first message: `KeySchedule` of section 5.1 with an empty PSK. */
export function hpkeKeys(
  kem: number,
  sharedSecret: Uint8Array,
  info: string,
): { readonly key: Uint8Array; readonly nonce: Uint8Array } {
  const suite = Buffer.concat([Buffer.from('HPKE'), bigEndian16(kem), KDF_AND_AEAD]);
  const context = Buffer.concat([
    MODE_BASE,
    labeledExtract(suite, EMPTY, 'psk_id_hash', EMPTY),
    labeledExtract(suite, EMPTY, 'info_hash', Buffer.from(info)),
  ]);
  const secret = labeledExtract(suite, sharedSecret, 'secret', EMPTY);
  return {
    key: labeledExpand(suite, secret, 'key', context, 32),
    nonce: labeledExpand(suite, secret, 'base_nonce', context, 12),
  };
}

function labeledExtract(suite: Uint8Array, salt: Uint8Array, label: string, ikm: Uint8Array): Buffer {
  return hmac(salt, [VERSION, suite, Buffer.from(label), ikm]);
}

/** At most 32 bytes: one block of HKDF-Expand, which Node has only together with HKDF-Extract. */
function labeledExpand(
  suite: Uint8Array,
  secret: Uint8Array,
  label: string,
  context: Uint8Array,
  length: number,
): Buffer {
  const parts = [bigEndian16(length), VERSION, suite, Buffer.from(label), context, Buffer.of(1)];
  return hmac(secret, parts).subarray(0, length);
}

function hmac(key: Uint8Array, parts: readonly Uint8Array[]): Buffer {
  return createHmac('sha256', createSecretKey(key)).update(Buffer.concat(parts)).digest();
}

function bigEndian16(value: number): Buffer {
  return Buffer.of(value >>> 8, value & 255);
}
