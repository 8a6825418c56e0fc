import { createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { readCheckpoint } from '../checkpoint-text.ts';
import type { NoteSigner, NoteVerifier } from '../note.ts';
import {
  ed25519Key,
  formatSignatureLine,
  formatVerifierKey,
  isKeyName,
  keyIdOf,
  splitVerifierKey,
} from '../verifier-key.ts';

/** C2SP tlog-cosignature: that a key holder saw the log grow consistently up to a checkpoint, and when. */

/** Note signature type, length of the public key and of the signature without its time. */
const KINDS = {
  ed25519: { type: 0x04, publicBytes: 32, signatureBytes: 64 },
  'ml-dsa-44': { type: 0x06, publicBytes: 1312, signatureBytes: 2420 },
} as const;
const TIME_BYTES = 8;
const TIME_MAX = 2n ** 63n - 1n;

export type CosignatureKind = keyof typeof KINDS;

export interface Cosigner {
  readonly name: string;
  readonly kind: CosignatureKind;
  /** Its verifier key: signature type 0x04 for Ed25519, 0x06 for ML-DSA-44. */
  readonly vkey: string;
  /** A signature line, without its newline, over the text of a checkpoint. `seconds` since 1970. */
  cosign(text: string, seconds: number): string;
}

export interface CosignatureVerifier extends NoteVerifier {
  readonly vkey: string;
  /** Raw; two verifier keys with the same one are duplicates, whatever their names. */
  readonly publicKey: Uint8Array;
}

/** `key` is an Ed25519 or ML-DSA-44 private key, used for nothing else. Throws a TypeError for any other. */
export function createCosigner(name: string, key: KeyObject): Cosigner {
  if (!isKeyName(name) || Buffer.byteLength(name) > 255)
    throw new TypeError(`"${name}" cannot name a witness: no white space, no plus sign, at most 255 bytes`);
  const kind = key.asymmetricKeyType as string;
  if (key.type !== 'private' || !isKind(kind))
    throw new TypeError('a witness signs with an Ed25519 or ML-DSA-44 private key');
  const { type } = KINDS[kind];
  const publicKey = rawPublicKey(key);
  const keyId = keyIdOf(name, type, publicKey);
  return {
    name,
    kind,
    vkey: formatVerifierKey({ name, type, publicKey }),
    cosign(text, seconds) {
      const time = BigInt(seconds);
      const message = messageOf(kind, name, text, time);
      if (message === undefined) throw new TypeError('this checkpoint cannot be cosigned');
      const prefix = Buffer.alloc(TIME_BYTES);
      prefix.writeBigUInt64BE(time);
      return formatSignatureLine(name, keyId, Buffer.concat([prefix, sign(null, message, key)]));
    },
  };
}

/**
 * A second line by the log itself. ML-DSA-44 has no plain note signature, only the cosignature, so it needs the time.
 * `seconds` may answer 0: no statement about the time.
 */
export function createCosigningSigner(cosigner: Cosigner, seconds: () => number): NoteSigner {
  return { name: cosigner.name, vkey: cosigner.vkey, sign: (text) => cosigner.cosign(text, seconds()) };
}

/** Reads a verifier key of type 0x04 or 0x06. Undefined if it is malformed or of another type. */
export function parseCosignerKey(vkey: string): CosignatureVerifier | undefined {
  const parts = splitVerifierKey(vkey);
  if (parts === undefined || Buffer.byteLength(parts.name) > 255) return undefined;
  const { name, type, publicKey } = parts;
  const kind = (Object.keys(KINDS) as CosignatureKind[]).find((each) => KINDS[each].type === type);
  if (kind === undefined || publicKey.length !== KINDS[kind].publicBytes) return undefined;
  const key = kind === 'ed25519' ? ed25519Key(publicKey) : mlDsaKey(publicKey);
  return {
    name,
    kind,
    vkey,
    publicKey,
    keyId: keyIdOf(name, type, publicKey),
    verify(text, signature) {
      if (signature.length !== TIME_BYTES + KINDS[kind].signatureBytes) return false;
      const time = timeBits(signature);
      const message = time > TIME_MAX ? undefined : messageOf(kind, name, text, time);
      return message !== undefined && verify(null, message, key, signature.subarray(TIME_BYTES));
    },
  };
}

/** When a verified cosignature was made, seconds since 1970; 0 for one without a time. */
export function cosignatureTime(signature: Uint8Array): number {
  return Number(timeBits(signature));
}

function timeBits(signature: Uint8Array): bigint {
  return Buffer.from(signature).readBigUInt64BE(0);
}

function messageOf(kind: CosignatureKind, name: string, text: string, time: bigint): Buffer | undefined {
  return kind === 'ed25519'
    ? Buffer.from(`cosignature/v1\ntime ${time}\n${text}`)
    : cosignedMessage(name, text, time);
}

/** `cosigned_message` of tlog-cosignature, for the subtree from 0 to the size. Undefined if `text` is no checkpoint. */
function cosignedMessage(name: string, text: string, time: bigint): Buffer | undefined {
  const checkpoint = readCheckpoint(text);
  if (typeof checkpoint === 'string') return undefined;
  const [cosigner, origin] = [name, checkpoint.origin].map(shortString);
  if (cosigner === undefined || origin === undefined) return undefined;
  const [start, end] = [uint64(0n), uint64(BigInt(checkpoint.size))];
  const label = Buffer.from('subtree/v1\n\0');
  return Buffer.concat([label, cosigner, uint64(time), origin, start, end, checkpoint.root]);
}

/** Undefined unless it has 1 to 255 bytes. */
function shortString(text: string): Buffer | undefined {
  const bytes = Buffer.from(text);
  return bytes.length === 0 || bytes.length > 255
    ? undefined
    : Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

function uint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

function isKind(kind: string): kind is CosignatureKind {
  return kind in KINDS;
}

function rawPublicKey(key: KeyObject): Uint8Array {
  const { x, pub } = createPublicKey(key).export({ format: 'jwk' }) as { x?: string; pub?: string };
  return Buffer.from(x ?? pub ?? '', 'base64url');
}

function mlDsaKey(publicKey: Uint8Array): KeyObject {
  // SubjectPublicKeyInfo of RFC 9881 up to the key.
  const prefix = Buffer.from('30820532300b06096086480165030403110382052100', 'hex');
  return createPublicKey({ key: Buffer.concat([prefix, publicKey]), format: 'der', type: 'spki' });
}
