import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { generateIdentity, recipientOf } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { type SigningAlgorithm, signingKeyOfSeed } from '../signing-seed.ts';
import type { KeyPurpose } from './key-ring.ts';

/** What lies inside `keyring.age`: docs/formats/keyring.md. */

export const RING_VERSION = 2;
export const KEY_NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
export const ROTATE_DAYS_MAX = 3650;

const name = z.string().regex(KEY_NAME);
const state = z.enum(['active', 'decrypt-only', 'compromised', 'destroyed']);
/** Milliseconds since 1970. */
const time = z.int().min(0);
const number = z.int().min(1);

const version = z.strictObject({
  version: number,
  createdAt: time,
  state,
  stateSince: time,
  /** An upper bound while a process has the ring open; exact after it closed it. */
  uses: z.int().min(0),
  /** By purpose: an age identity, or 32 bytes in base64. Absent once destroyed. */
  material: z.string().optional(),
});

const key = z.strictObject({
  purpose: z.enum(['wrap', 'seal', 'mac', 'sign']),
  rotateDays: z.int().min(1).max(ROTATE_DAYS_MAX).nullable(),
  versions: z.array(version).min(1),
});

const document = z.strictObject({
  v: z.literal(RING_VERSION),
  /** Grows by one with each write. */
  generation: number,
  keys: z.record(name, key),
});

const version1 = z.strictObject({ version: number, createdAt: time, state, material: z.string().optional() });
const document1 = z.strictObject({
  v: z.literal(1),
  generation: number,
  keys: z.record(
    name,
    z.strictObject({ purpose: z.enum(['wrap', 'mac', 'sign']), versions: z.array(version1).min(1) }),
  ),
});

export type RingDocument = z.infer<typeof document>;
export type RingKey = z.infer<typeof key>;
export type RingVersion = z.infer<typeof version>;

/** A key version, ready for use. `usable` is undefined once the version is destroyed. */
export interface OpenVersion {
  readonly version: number;
  readonly state: RingVersion['state'];
  readonly usable: Usable | undefined;
}

export type Usable =
  | { readonly purpose: 'wrap'; readonly identity: string; readonly recipient: string }
  | { readonly purpose: 'seal'; readonly key: KeyObject }
  | { readonly purpose: 'mac'; readonly key: KeyObject }
  | { readonly purpose: 'sign'; readonly key: (algorithm: SigningAlgorithm) => KeyObject };

export interface OpenKey {
  readonly purpose: KeyPurpose;
  /** In ascending order. */
  readonly versions: readonly OpenVersion[];
}

/** Throws `crypto.keyring_newer` or `crypto.keyring_corrupt`; neither quotes the text. Version 1 is read as version 2. */
export function parseRing(text: string): RingDocument {
  const json = parseJson(text);
  const parsed = document.safeParse(json);
  if (parsed.success) return parsed.data;
  const older = document1.safeParse(json);
  if (older.success) return upgrade(older.data);
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
    Object.entries(keys).map(([name, { purpose, versions }]) => {
      if (versions.filter(({ state }) => state === 'active').length > 1) {
        throw cryptoProblems.keyring_corrupt(`the key "${name}" has two active versions`);
      }
      const open = versions.map((stored, index) => openVersion(name, purpose, stored, index));
      return [name, { purpose, versions: open }];
    }),
  );
}

/** New secret material for a key of the purpose. */
export function generateMaterial(purpose: KeyPurpose): string {
  return purpose === 'wrap' ? generateIdentity().identity : encodeBase64(randomBytes(32));
}

/** Keys that encrypt are rotated by themselves: what one version has sealed stays bounded. */
export function defaultRotateDays(purpose: KeyPurpose): number | null {
  return purpose === 'wrap' || purpose === 'seal' ? 90 : null;
}

/** Version 1 had no use counts and no periods, and could hold several active versions, of which the highest was used. */
function upgrade({ generation, keys }: z.infer<typeof document1>): RingDocument {
  const upgraded = Object.entries(keys).map(([name, { purpose, versions }]): [string, RingKey] => {
    const active = versions.findLast(({ state }) => state === 'active');
    return [
      name,
      {
        purpose,
        rotateDays: defaultRotateDays(purpose),
        versions: versions.map((stored) => ({
          ...stored,
          state: stored.state === 'active' && stored !== active ? 'decrypt-only' : stored.state,
          stateSince: stored.createdAt,
          uses: 0,
        })),
      },
    ];
  });
  return { v: RING_VERSION, generation, keys: Object.fromEntries(upgraded) };
}

function openVersion(name: string, purpose: KeyPurpose, stored: RingVersion, index: number): OpenVersion {
  const corrupt = () =>
    cryptoProblems.keyring_corrupt(`version ${stored.version} of the key "${name}" is malformed`);
  const { version, state, material } = stored;
  if (version !== index + 1 || (material === undefined) !== (state === 'destroyed')) throw corrupt();
  if (material === undefined) return { version, state, usable: undefined };
  try {
    return { version, state, usable: openMaterial(purpose, material) };
  } catch {
    // Without the cause: a parser's message might carry a part of the secret.
    throw corrupt();
  }
}

function openMaterial(purpose: KeyPurpose, material: string): Usable {
  if (purpose === 'wrap') return { purpose, identity: material, recipient: recipientOf(material) };
  const bytes = parseBase64(material);
  if (bytes?.length !== 32) throw new TypeError('not 32 bytes');
  if (purpose !== 'sign') return { purpose, key: createSecretKey(bytes) };
  return { purpose, key: (algorithm) => signingKeyOfSeed(algorithm, bytes) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Without the cause: its message quotes the text.
    throw cryptoProblems.keyring_corrupt('the key ring is not JSON');
  }
}
