import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { SEED_BYTES, signingKeyOfSeed } from '../../crypto/signing-seed.ts';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { Secret } from '../../kernel/secret.ts';
import { type CosignatureKind, type Cosigner, createCosigner } from './cosignature.ts';

/**
 * The private key of a witness as one line, in the form of Go's note package:
 * `PRIVATE+KEY+name+hash+base64(type, seed)`.
 */

const TYPES: Readonly<Record<CosignatureKind, number>> = { ed25519: 0x04, 'ml-dsa-44': 0x06 };
const KINDS = Object.keys(TYPES) as CosignatureKind[];

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
  const typed = Buffer.concat([Buffer.from([TYPES[kind]]), seed]);
  return new Secret(`PRIVATE+KEY+${name}+${idOf(vkey, name)}+${encodeBase64(typed)}`);
}

/** Undefined if the line is malformed, or its hash is not that of its key. */
export function parseCosignerPrivateKey(line: Secret<string>): Cosigner | undefined {
  const [, name, id, text] =
    /^PRIVATE\+KEY\+([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(line.reveal()) ?? [];
  const bytes = text === undefined ? undefined : parseBase64(text);
  if (name === undefined || bytes?.length !== 1 + SEED_BYTES) return undefined;
  const kind = KINDS.find((each) => TYPES[each] === bytes[0]);
  if (kind === undefined) return undefined;
  const cosigner = createCosigner(name, signingKeyOfSeed(kind, bytes.subarray(1)));
  return idOf(cosigner.vkey, name) === id ? cosigner : undefined;
}

function idOf(vkey: string, name: string): string {
  return vkey.slice(name.length + 1, name.length + 9);
}
