import { createDecipheriv, createPrivateKey, type KeyObject } from 'node:crypto';
import { parseBase64 } from '../../../kernel/base64.ts';
import type { Secret } from '../../../kernel/secret.ts';
import { cryptoProblems } from '../../problems.ts';
import { bcryptPbkdf } from './bcrypt-pbkdf.ts';
import { parseSshPublicKey, rsaBlob, type SshPublicKey } from './public-key.ts';
import { createWireReader, parseMpint, type WireReader, wireString } from './wire.ts';

/** The secret part of an SSH key. */
export type SshSecret =
  | { readonly type: 'ssh-ed25519'; readonly seed: Uint8Array }
  | { readonly type: 'ssh-rsa'; readonly key: KeyObject };

export interface SshPrivateKey {
  readonly publicKey: SshPublicKey;
  /** It must be unlocked with its passphrase first. */
  readonly locked: boolean;
  /** Throws `crypto.no_matching_key` if the passphrase is wrong; takes half a second. Without a lock it is ignored. */
  open(passphrase?: Secret<string>): SshSecret;
}

const MAGIC = 'openssh-key-v1\0';
/** ssh-keygen writes 16 or 24. Each takes some 20 ms, and the file says how many. */
const ROUNDS_MAX = 512;
const CIPHERS: Readonly<Record<string, string>> = {
  'aes256-ctr': 'aes-256-ctr',
  'aes256-cbc': 'aes-256-cbc',
};
const CIPHER_KEY_BYTES = 32;
const CIPHER_BLOCK_BYTES = 16;
const CONVERT = 'convert it with: ssh-keygen -p -f FILE';

/**
 * A private key file as ssh-keygen writes it, or PEM (PKCS#1, PKCS#8). Throws `crypto.invalid_key`, or
 * `crypto.unsupported_key`, which says how to convert the file if that helps.
 */
export function parseSshPrivateKey(text: string): SshPrivateKey {
  const [, label, body] = /^-----BEGIN ([A-Z ]+)-----\r?\n([\s\S]+?)-----END \1-----\s*$/.exec(text) ?? [];
  if (label === undefined || body === undefined) throw malformed('it is not one PEM block');
  if (label === 'OPENSSH PRIVATE KEY') {
    const bytes = parseBase64(body.replace(/[\r\n]/g, ''));
    if (!bytes) throw malformed('it is not canonical base64');
    return parseOpenSsh(bytes);
  }
  if (label.startsWith('ENCRYPTED') || /^Proc-Type:.*ENCRYPTED/m.test(body)) {
    throw cryptoProblems.unsupported_key(
      `the SSH key is protected by a passphrase in an old format, which does not say whose key it is; ${CONVERT}`,
    );
  }
  return fromPem(text);
}

function fromPem(pem: string): SshPrivateKey {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw malformed('the PEM block does not hold a private key');
  }
  if (key.asymmetricKeyType === 'rsa') {
    const { n = '', e = '' } = key.export({ format: 'jwk' });
    const publicKey = parseSshPublicKey(rsaBlob(Buffer.from(n, 'base64url'), Buffer.from(e, 'base64url')));
    return { publicKey, locked: false, open: () => ({ type: 'ssh-rsa', key }) };
  }
  if (key.asymmetricKeyType === 'ed25519') {
    const { x = '', d = '' } = key.export({ format: 'jwk' });
    const point = wireString(Buffer.from(x, 'base64url'));
    const publicKey = parseSshPublicKey(Buffer.concat([wireString('ssh-ed25519'), point]));
    const seed = Buffer.from(d, 'base64url');
    return { publicKey, locked: false, open: () => ({ type: 'ssh-ed25519', seed }) };
  }
  throw cryptoProblems.unsupported_key('only Ed25519 and RSA keys can decrypt');
}

/** The format of OpenSSH's PROTOCOL.key. */
function parseOpenSsh(bytes: Uint8Array): SshPrivateKey {
  if (Buffer.from(bytes.subarray(0, MAGIC.length)).toString('latin1') !== MAGIC)
    throw malformed('it is not in the format openssh-key-v1');
  const reader = createWireReader(bytes.subarray(MAGIC.length));
  const cipher = reader.string()?.toString('latin1');
  const kdf = reader.string()?.toString('latin1');
  const kdfOptions = reader.string();
  const keys = reader.uint32();
  const blob = reader.string();
  const sealed = reader.string();
  if (cipher === undefined || kdf === undefined || !kdfOptions || !blob || !sealed)
    throw malformed('it is cut short or has a wrong length');
  if (keys !== 1) throw malformed('it does not hold exactly one key');
  const publicKey = parseSshPublicKey(blob);
  if (cipher === 'none' && kdf === 'none' && reader.rest().length === 0)
    return { publicKey, locked: false, open: () => parseSecret(sealed, publicKey) ?? fail() };
  const algorithm = CIPHERS[cipher];
  if (cipher !== 'none' && (algorithm === undefined || kdf !== 'bcrypt')) {
    throw cryptoProblems.unsupported_key(
      `the SSH key is protected with ${cipher} and ${kdf}, which is not supported; ${CONVERT} -Z aes256-ctr`,
    );
  }
  if (algorithm === undefined || sealed.length % CIPHER_BLOCK_BYTES !== 0 || reader.rest().length > 0)
    throw malformed('it is cut short or has a wrong length');
  const { salt, rounds } = parseKdfOptions(kdfOptions);
  return {
    publicKey,
    locked: true,
    open(passphrase) {
      if (!passphrase)
        throw cryptoProblems.no_matching_key('the SSH key is protected by a passphrase, and none is given');
      const derived = bcryptPbkdf(
        Buffer.from(passphrase.reveal()),
        salt,
        rounds,
        CIPHER_KEY_BYTES + CIPHER_BLOCK_BYTES,
      );
      const decipher = createDecipheriv(
        algorithm,
        derived.subarray(0, CIPHER_KEY_BYTES),
        derived.subarray(CIPHER_KEY_BYTES),
      ).setAutoPadding(false);
      const secret = parseSecret(Buffer.concat([decipher.update(sealed), decipher.final()]), publicKey);
      if (!secret) throw cryptoProblems.no_matching_key('the passphrase of the SSH key is wrong');
      return secret;
    },
  };
}

function parseKdfOptions(bytes: Uint8Array): { salt: Uint8Array; rounds: number } {
  const reader = createWireReader(bytes);
  const salt = reader.string();
  const rounds = reader.uint32();
  if (!salt || salt.length === 0 || rounds === undefined || rounds === 0 || reader.rest().length > 0)
    throw malformed('its key derivation is malformed');
  if (rounds > ROUNDS_MAX) {
    throw cryptoProblems.scrypt_cost(
      `the SSH key asks for ${rounds} rounds of bcrypt; the limit is ${ROUNDS_MAX}`,
    );
  }
  return { salt, rounds };
}

/** Undefined if the bytes were decrypted with a wrong key, or are not the secret of `publicKey`. */
function parseSecret(bytes: Uint8Array, publicKey: SshPublicKey): SshSecret | undefined {
  const reader = createWireReader(bytes);
  const check = reader.uint32();
  if (check === undefined || check !== reader.uint32()) return undefined;
  if (reader.string()?.toString('latin1') !== publicKey.type) return undefined;
  const secret = publicKey.type === 'ssh-rsa' ? rsaSecret(reader) : ed25519Secret(reader);
  const comment = reader.string();
  const padded = comment !== undefined && reader.rest().every((byte, i) => byte === ((i + 1) & 255));
  if (!secret || !padded || !Buffer.from(secret.blob).equals(publicKey.blob)) return undefined;
  return secret.secret;
}

interface WithBlob {
  readonly blob: Uint8Array;
  readonly secret: SshSecret;
}

function ed25519Secret(reader: WireReader): WithBlob | undefined {
  const point = reader.string();
  const seed = reader.string()?.subarray(0, 32);
  if (point?.length !== 32 || seed?.length !== 32) return undefined;
  const blob = Buffer.concat([wireString('ssh-ed25519'), wireString(point)]);
  return { blob, secret: { type: 'ssh-ed25519', seed } };
}

function rsaSecret(reader: WireReader): WithBlob | undefined {
  // In OpenSSH's order. The exponents of the Chinese remainders are not stored.
  const [n, e, d, qi, p, q] = Array.from({ length: 6 }, () =>
    parseMpint(reader.string() ?? new Uint8Array(0)),
  );
  if (!n || !e || !d || !qi || !p || !q) return undefined;
  const dp = remainder(d, p);
  const dq = remainder(d, q);
  const numbers = Object.entries({ n, e, d, p, q, dp, dq, qi });
  const jwk = Object.fromEntries(numbers.map(([name, value]) => [name, value.toString('base64url')]));
  try {
    const key = createPrivateKey({ key: { kty: 'RSA', ...jwk }, format: 'jwk' });
    return { blob: rsaBlob(n, e), secret: { type: 'ssh-rsa', key } };
  } catch {
    return undefined;
  }
}

function remainder(d: Buffer, prime: Buffer): Buffer {
  const value = BigInt(`0x${d.toString('hex')}`) % (BigInt(`0x${prime.toString('hex')}`) - 1n);
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

function malformed(what: string): Error {
  return cryptoProblems.invalid_key(`the SSH private key cannot be read: ${what}`);
}

function fail(): never {
  throw malformed('its parts do not belong together');
}
