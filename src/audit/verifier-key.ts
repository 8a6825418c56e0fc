import { createPublicKey, hash, type KeyObject } from 'node:crypto';
import { encodeBase64, parseBase64 } from '../kernel/base64.ts';

/** How the keys of signed notes are written: C2SP verifier keys, `name+hash+base64`, and the lines that bear signatures. */

// U+0085 is a space to Unicode and to Go, and not to `\s`.
const NAME = /^[^\s\u0085+]+$/u;

/** A verifier key of any signature type. */
export interface VerifierKeyParts {
  readonly name: string;
  readonly type: number;
  /** As its signature type encodes it. */
  readonly publicKey: Uint8Array;
}

/** Undefined if it is malformed, or its hash is not that of its key. The public key itself is not looked at. */
export function splitVerifierKey(vkey: string): VerifierKeyParts | undefined {
  const [, name, idHex, keyText] = /^([^\s\u0085+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(vkey) ?? [];
  const bytes = keyText === undefined ? undefined : parseBase64(keyText);
  const type = bytes?.[0];
  if (name === undefined || idHex === undefined || bytes === undefined || type === undefined)
    return undefined;
  const publicKey = bytes.subarray(1);
  return hex(keyIdOf(name, type, publicKey)) === idHex ? { name, type, publicKey } : undefined;
}

export function formatVerifierKey({ name, type, publicKey }: VerifierKeyParts): string {
  const typed = Buffer.concat([Buffer.from([type]), publicKey]);
  return `${name}+${hex(keyIdOf(name, type, publicKey))}+${encodeBase64(typed)}`;
}

export function keyIdOf(name: string, type: number, publicKey: Uint8Array): number {
  const bytes = Buffer.concat([Buffer.from(`${name}\n`), Buffer.from([type]), publicKey]);
  return hash('sha256', bytes, 'buffer').readUInt32BE(0);
}

/** Not empty, no white space, no plus sign: what may name a key. */
export function isKeyName(name: string): boolean {
  return NAME.test(name) && name.isWellFormed() && !hasControl(name);
}

/** One signature line, without its newline. */
export function formatSignatureLine(name: string, keyId: number, signature: Uint8Array): string {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32BE(keyId);
  return `\u2014 ${name} ${encodeBase64(Buffer.concat([prefix, signature]))}`;
}

export function ed25519Key(publicKey: Uint8Array): KeyObject {
  const x = Buffer.from(publicKey).toString('base64url');
  return createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
}

/** Anything below U+0020 but a newline. */
export function hasControl(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) < 32 && text[at] !== '\n') return true;
  return false;
}

/** A key id, as verifier keys have it. */
export const hex = (id: number): string => id.toString(16).padStart(8, '0');
