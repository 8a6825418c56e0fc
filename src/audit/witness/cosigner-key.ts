import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { Secret } from '../../kernel/secret.ts';
import { type CosignatureKind, type Cosigner, createCosigner } from './cosignature.ts';

/**
 * The private key of a witness as one line, in the form of Go's note package:
 * `PRIVATE+KEY+name+hash+base64(type, seed)`.
 */

/** PKCS #8 of a 32-byte seed, up to the seed: RFC 8410 and RFC 9881. */
const PKCS8: Readonly<Record<CosignatureKind, { readonly type: number; readonly prefix: Buffer }>> = {
  ed25519: { type: 0x04, prefix: Buffer.from('302e020100300506032b657004220420', 'hex') },
  'ml-dsa-44': { type: 0x06, prefix: Buffer.from('3034020100300b060960864801650304031104228020', 'hex') },
};
const SEED_BYTES = 32;

/** Throws a TypeError if `name` cannot name a key. */
export function generateCosignerKey(name: string, kind: CosignatureKind): Secret<string> {
  const { privateKey } =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ml-dsa-44');
  return formatCosignerKey(name, privateKey);
}

export function formatCosignerKey(name: string, key: KeyObject): Secret<string> {
  const { vkey, kind } = createCosigner(name, key);
  const { d, priv } = key.export({ format: 'jwk' }) as { d?: string; priv?: string };
  const seed = Buffer.from(d ?? priv ?? '', 'base64url');
  const typed = Buffer.concat([Buffer.from([PKCS8[kind].type]), seed]);
  return new Secret(`PRIVATE+KEY+${name}+${idOf(vkey, name)}+${encodeBase64(typed)}`);
}

/** Undefined if the line is malformed, or its hash is not that of its key. */
export function parseCosignerPrivateKey(line: Secret<string>): Cosigner | undefined {
  const [, name, id, text] =
    /^PRIVATE\+KEY\+([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(line.reveal()) ?? [];
  const bytes = text === undefined ? undefined : parseBase64(text);
  if (name === undefined || bytes?.length !== 1 + SEED_BYTES) return undefined;
  const form = Object.values(PKCS8).find(({ type }) => type === bytes[0]);
  if (form === undefined) return undefined;
  const der = Buffer.concat([form.prefix, bytes.subarray(1)]);
  const cosigner = createCosigner(name, createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }));
  return idOf(cosigner.vkey, name) === id ? cosigner : undefined;
}

function idOf(vkey: string, name: string): string {
  return vkey.slice(name.length + 1, name.length + 9);
}
