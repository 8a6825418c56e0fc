import { createPrivateKey, createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { generateIdentity, recipientOf } from '../age/keys.ts';
import type { KeyPurpose } from './key-ring.ts';
import { cryptoProblems } from '../problems.ts';

/** What lies inside `keyring.age`: docs/formats/keyring.md. */

export const RING_VERSION = 1;
export const KEY_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;

const version = z.strictObject({
  version: z.int().min(1),
  /** Milliseconds since 1970. */
  createdAt: z.int().min(0),
  state: z.enum(['active', 'decrypt-only', 'compromised', 'destroyed']),
  /** By purpose: an age identity, or 32 bytes in base64. Absent once destroyed. */
  material: z.string().optional(),
});

const document = z.strictObject({
  v: z.literal(RING_VERSION),
  /** Grows by one with each write. */
  generation: z.int().min(1),
  keys: z.record(
    z.string().regex(KEY_NAME),
    z.strictObject({ purpose: z.enum(['wrap', 'mac', 'sign']), versions: z.array(version).min(1) }),
  ),
});

export type RingDocument = z.infer<typeof document>;
export type RingVersion = z.infer<typeof version>;

/** A key version, ready for use. `usable` is undefined once the version is destroyed. */
export interface OpenVersion {
  readonly version: number;
  readonly createdAt: number;
  readonly state: RingVersion['state'];
  readonly usable: Usable | undefined;
}

export type Usable =
  | { readonly purpose: 'wrap'; readonly identity: string; readonly recipient: string }
  | { readonly purpose: 'mac'; readonly key: KeyObject }
  | { readonly purpose: 'sign'; readonly key: KeyObject };

export interface OpenKey {
  readonly purpose: KeyPurpose;
  /** In ascending order. */
  readonly versions: readonly OpenVersion[];
}

/** Throws `crypto.keyring_newer` or `crypto.keyring_corrupt`; neither quotes the text. */
export function parseRing(text: string): RingDocument {
  const json = parseJson(text);
  const parsed = document.safeParse(json);
  if (parsed.success) return parsed.data;
  const v = z.object({ v: z.int() }).safeParse(json);
  if (v.success && v.data.v > RING_VERSION) {
    throw cryptoProblems.keyring_newer(
      `the key ring has format ${v.data.v}; this version knows ${RING_VERSION}`,
    );
  }
  throw cryptoProblems.keyring_corrupt('the key ring does not have the form of one');
}

/** Throws `crypto.keyring_corrupt` if a key is not what its purpose demands. */
export function openKeys({ keys }: RingDocument): ReadonlyMap<string, OpenKey> {
  return new Map(
    Object.entries(keys).map(([name, { purpose, versions }]) => [
      name,
      { purpose, versions: versions.map((stored, index) => openVersion(name, purpose, stored, index)) },
    ]),
  );
}

/** New secret material for a key of the purpose. */
export function generateMaterial(purpose: KeyPurpose): string {
  return purpose === 'wrap' ? generateIdentity().identity : encodeBase64(randomBytes(32));
}

function openVersion(name: string, purpose: KeyPurpose, stored: RingVersion, index: number): OpenVersion {
  const corrupt = () =>
    cryptoProblems.keyring_corrupt(`version ${stored.version} of the key "${name}" is malformed`);
  const { version, createdAt, state, material } = stored;
  if (version !== index + 1 || (material === undefined) !== (state === 'destroyed')) throw corrupt();
  if (material === undefined) return { version, createdAt, state, usable: undefined };
  try {
    return { version, createdAt, state, usable: openMaterial(purpose, material) };
  } catch {
    // Without the cause: a parser's message might carry a part of the secret.
    throw corrupt();
  }
}

/** An Ed25519 private key in DER is this and its 32-byte seed (RFC 8410). */
const ED25519_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

function openMaterial(purpose: KeyPurpose, material: string): Usable {
  if (purpose === 'wrap') return { purpose, identity: material, recipient: recipientOf(material) };
  const bytes = parseBase64(material);
  if (bytes?.length !== 32) throw new TypeError('not 32 bytes');
  if (purpose === 'mac') return { purpose, key: createSecretKey(bytes) };
  const der = Buffer.concat([ED25519_PREFIX, bytes]);
  return { purpose, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause: its message quotes the text.
    throw cryptoProblems.keyring_corrupt('the key ring is not JSON');
  }
}
