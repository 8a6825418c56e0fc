import { readFile } from 'node:fs/promises';
import type { Clock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import type { Secret } from '../../kernel/secret.ts';
import { decryptStream, encryptStream } from '../age/age.ts';
import { recipientOf } from '../age/keys.ts';
import { codeOf, writeDurably } from '../durable-file.ts';
import type { KeyPurpose, KeyRing } from './key-ring.ts';
import { cryptoProblems } from '../problems.ts';
import {
  generateMaterial,
  KEY_NAME,
  openKeys,
  parseRing,
  RING_VERSION,
  type RingDocument,
  type Usable,
} from './ring-document.ts';

export interface KeyRingOptions {
  /** Path of `keyring.age`. */
  readonly path: string;
  readonly rootIdentity: Secret<string>;
  readonly clock: Clock;
}

/** Makes an empty key ring, sealed to the root key, and opens it. Throws `crypto.keyring_exists`. */
export async function createKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  try {
    await write(options, { v: RING_VERSION, generation: 1, keys: {} }, false);
  } catch (error) {
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw cryptoProblems.keyring_exists(`"${options.path}" exists`, { cause: error });
  }
  return openKeyRing(options);
}

/**
 * Opens the key ring. Throws `crypto.keyring_missing`, `crypto.wrong_root_key`, `crypto.keyring_corrupt` or
 * `crypto.keyring_newer`. One process may hold it open for writing: a write after another's throws `crypto.keyring_conflict`.
 */
export async function openKeyRing(options: KeyRingOptions): Promise<KeyRing> {
  let document = await read(options);
  let keys = openKeys(document);
  /** Writes follow each other; a failed one does not hold up the next. */
  let turn: Promise<unknown> = Promise.resolve();

  const add = async (name: string, purpose: KeyPurpose): Promise<void> => {
    if (!KEY_NAME.test(name)) throw cryptoProblems.key_unavailable(`"${name}" is not a name for a key`);
    const existing = keys.get(name);
    if (existing) {
      if (existing.purpose === purpose) return;
      throw cryptoProblems.key_unavailable(
        `the key "${name}" is for ${existing.purpose}, not for ${purpose}`,
      );
    }
    if ((await read(options)).generation !== document.generation) {
      throw cryptoProblems.keyring_conflict(
        'the key ring on the disk has another generation than the one opened',
      );
    }
    const version = { version: 1, createdAt: options.clock.now(), state: 'active' as const };
    const next = parseRing(
      JSON.stringify({
        v: RING_VERSION,
        generation: document.generation + 1,
        keys: {
          ...document.keys,
          [name]: { purpose, versions: [{ ...version, material: generateMaterial(purpose) }] },
        },
      }),
    );
    await write(options, next, true);
    document = next;
    keys = openKeys(next);
  };

  const usable = <Purpose extends KeyPurpose>(name: string, purpose: Purpose, version?: number) => {
    const key = keys.get(name);
    if (key?.purpose !== purpose)
      throw cryptoProblems.key_unavailable(`there is no ${purpose} key "${name}"`);
    const found =
      version === undefined
        ? key.versions.findLast(({ state }) => state === 'active')
        : key.versions.find((candidate) => candidate.version === version);
    if (!found) {
      const which = version === undefined ? 'active version' : `version ${version}`;
      throw cryptoProblems.key_unavailable(`the key "${name}" has no ${which}`);
    }
    if (!found.usable)
      throw cryptoProblems.key_unavailable(`version ${found.version} of the key "${name}" was destroyed`);
    return { version: found.version, ...(found.usable as Extract<Usable, { purpose: Purpose }>) };
  };

  return {
    list: () =>
      Array.from(keys, ([name, { purpose, versions }]) => ({
        name,
        purpose,
        versions: versions.map(({ version, createdAt, state }) => ({ version, createdAt, state })),
      })),
    ensure(name, purpose) {
      const mine = turn.then(() => add(name, purpose));
      turn = mine.catch(() => {});
      return mine;
    },
    recipient(name) {
      const { version, recipient } = usable(name, 'wrap');
      return { version, recipient };
    },
    identity: (name, version) => usable(name, 'wrap', version).identity,
    macKey(name, version) {
      const found = usable(name, 'mac', version);
      return { version: found.version, key: found.key };
    },
    signingKey(name, version) {
      const found = usable(name, 'sign', version);
      return { version: found.version, key: found.key };
    },
  };
}

async function read({ path, rootIdentity }: KeyRingOptions): Promise<RingDocument> {
  const sealed = await readFile(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw cryptoProblems.keyring_missing(`there is no key ring "${path}"`, { cause: error });
  });
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of decryptStream(once(sealed), { identities: [rootIdentity.reveal()] }))
      pieces.push(piece);
  } catch (error) {
    if (isProblem(error, cryptoProblems.no_matching_key)) {
      throw cryptoProblems.wrong_root_key('the root key is not the one that the key ring is sealed to', {
        cause: error,
      });
    }
    throw cryptoProblems.keyring_corrupt('the key ring does not verify', { cause: error });
  }
  return parseRing(Buffer.concat(pieces).toString('utf8'));
}

function write(
  { path, rootIdentity }: KeyRingOptions,
  document: RingDocument,
  replace: boolean,
): Promise<void> {
  const plaintext = once(Buffer.from(JSON.stringify(document)));
  const source = encryptStream(plaintext, { recipients: [recipientOf(rootIdentity.reveal())] });
  return writeDurably({ path, source, replace });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
