import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { parseBase64 } from '../../../kernel/base64.ts';
import { cryptoProblems } from '../../problems.ts';
import { encodeRawBase64 } from '../stanza.ts';
import { createWireReader, parseMpint, wireString } from './wire.ts';

/** A public key of a kind that age knows, in its SSH form. */
export type SshPublicKey = {
  /** The wire form, which is also what the fingerprint covers. */
  readonly blob: Uint8Array;
} & (
  | { readonly type: 'ssh-ed25519'; readonly point: Uint8Array }
  | { readonly type: 'ssh-rsa'; readonly key: KeyObject }
);

const RSA_BITS_MIN = 2048;
/** Above it a hostile key costs seconds a use. */
const RSA_BITS_MAX = 16_384;

/**
 * A line of `authorized_keys` or a `.pub` file: type, base64 and a comment, which is ignored. Throws `crypto.invalid_key`,
 * or `crypto.unsupported_key` for a well-formed key of a type that age does not know.
 */
export function parseSshPublicKeyLine(line: string): SshPublicKey {
  const [type = '', encoded = ''] = line.split(/[ \t]+/);
  const blob = parseBase64(encoded);
  if (!blob || createWireReader(blob).string()?.toString('latin1') !== type)
    throw cryptoProblems.invalid_key(
      'the SSH recipient is not a line of a .pub file, or has a wrong character',
    );
  return parseSshPublicKey(blob);
}

/** Throws as `parseSshPublicKeyLine`. */
export function parseSshPublicKey(blob: Uint8Array): SshPublicKey {
  const reader = createWireReader(blob);
  const type = reader.string()?.toString('latin1');
  if (type === 'ssh-ed25519') {
    const point = reader.string();
    if (point?.length === 32 && reader.rest().length === 0) return { type, blob, point };
  } else if (type === 'ssh-rsa') {
    const exponent = parseMpint(reader.string() ?? new Uint8Array(0));
    const modulus = parseMpint(reader.string() ?? new Uint8Array(0));
    if (exponent && modulus && reader.rest().length === 0) {
      return { type, blob, key: rsaPublicKey(modulus, exponent) };
    }
  } else if (type !== undefined && /^[a-z][a-z0-9@.-]+$/.test(type)) {
    throw cryptoProblems.unsupported_key(
      `SSH keys of type ${type} cannot encrypt; ssh-ed25519 and ssh-rsa can`,
    );
  }
  throw cryptoProblems.invalid_key('the SSH public key is malformed');
}

/** `ssh-ed25519 AAAA…`, without a comment. */
export function formatSshPublicKey({ type, blob }: SshPublicKey): string {
  return `${type} ${Buffer.from(blob).toString('base64')}`;
}

/** The first argument of an SSH stanza: 32 bits that tell whose it is, to anyone who has the public key. */
export function sshFingerprint({ blob }: SshPublicKey): string {
  return encodeRawBase64(createHash('sha256').update(blob).digest().subarray(0, 4));
}

/** The wire form of a key given by its numbers. */
export function rsaBlob(modulus: Uint8Array, exponent: Uint8Array): Buffer {
  const mpint = (magnitude: Uint8Array): Buffer =>
    wireString((magnitude[0] ?? 0) < 0x80 ? magnitude : Buffer.concat([Buffer.of(0), magnitude]));
  return Buffer.concat([wireString('ssh-rsa'), mpint(exponent), mpint(modulus)]);
}

function rsaPublicKey(modulus: Buffer, exponent: Buffer): KeyObject {
  const bits = modulus.length * 8 - Math.clz32(modulus[0] as number) + 24;
  if (bits < RSA_BITS_MIN)
    throw cryptoProblems.invalid_key(`the RSA key is shorter than ${RSA_BITS_MIN} bits`);
  if (bits > RSA_BITS_MAX)
    throw cryptoProblems.invalid_key(`the RSA key is longer than ${RSA_BITS_MAX} bits`);
  // A larger exponent would make each use as slow as one of the private key.
  if (exponent.length > 4 || (exponent.at(-1) as number) % 2 === 0)
    throw cryptoProblems.invalid_key('the RSA key has an unusual public exponent');
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') };
  return createPublicKey({ key: jwk, format: 'jwk' });
}
