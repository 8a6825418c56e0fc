import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { cryptoProblems } from '../problems.ts';
import type { KeyFacts, KeyPurpose, ManagedKeyRing, VersionUse } from './key-ring.ts';
import { ringProblems } from './problems.ts';
import {
  assurance,
  counting,
  creation,
  destruction,
  marking,
  type RingChange,
  rescheduling,
  rotation,
} from './ring-changes.ts';
import { openKeys, RING_VERSION, type RingKey, type Usable } from './ring-document.ts';
import { type RingFileOptions, readRingFile, writeRingFile } from './ring-file.ts';
import { createUseCounter } from './use-counter.ts';

export interface KeyRingOptions extends RingFileOptions {
  readonly clock: Pick<Clock, 'now'>;
}

/** Random 96-bit nonces: at most 2^32 values under one key (NIST SP 800-38D §8.3). */
export const SEAL_USES_MAX = 2 ** 32;

/** Makes an empty key ring, sealed to the root key, and opens it. Throws `crypto.keyring_exists`. */
export async function createKeyRing(options: KeyRingOptions): Promise<ManagedKeyRing> {
  try {
    await writeRingFile(options, { v: RING_VERSION, generation: 1, keys: {} }, false);
  } catch (error) {
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw cryptoProblems.keyring_exists(`"${options.path}" exists`, { cause: error });
  }
  return openKeyRing(options);
}

/**
 * Opens the key ring. Throws `crypto.keyring_missing`, `crypto.wrong_root_key`, `crypto.keyring_corrupt` or
 * `crypto.keyring_newer`. One process may hold it open for writing: a write after another's throws
 * `crypto.keyring_conflict`.
 */
export async function openKeyRing(options: KeyRingOptions): Promise<ManagedKeyRing> {
  const { clock } = options;
  let file = await readRingFile(options);
  let keys = openKeys(file.document);
  let closed = false;
  /** Writes follow each other; a failed one does not hold up the next. */
  let turn: Promise<unknown> = Promise.resolve();
  const listeners: ((generation: number) => Promise<void>)[] = [];
  // A reservation is nobody's effect: it must not run in the context of the request that happened to need it.
  const outside = AsyncLocalStorage.snapshot();
  const counter = createUseCounter(() => {
    outside(() => {
      const ahead = counting((name, { version, uses }) =>
        Math.max(uses, counter.reservation(idOf(name, version)) ?? 0),
      );
      void change(ahead).catch(() => {
        // It is asked for again, and the change that someone waits for tells what is wrong with the file.
      });
    });
  });

  const change = (edit: RingChange): Promise<void> => {
    const mine = turn.then(() => apply(edit));
    turn = mine.catch(() => {});
    return mine;
  };

  const apply = async (edit: RingChange): Promise<void> => {
    if (closed) throw new TypeError('the key ring is closed');
    const edited = edit(file.document);
    if (edited === undefined) return;
    const onDisk = await readRingFile(options);
    if (!onDisk.sealed.equals(file.sealed)) {
      throw cryptoProblems.keyring_conflict('the key ring on the disk is not the one that was opened');
    }
    const next = { ...edited, generation: file.document.generation + 1 };
    const opened = openKeys(next);
    file = await writeRingFile(options, next, true);
    keys = opened;
    for (const listener of listeners) await listener(next.generation);
  };

  const versionOf = (name: string, purpose: KeyPurpose, version: number | undefined) => {
    const key = keys.get(name);
    if (key?.purpose !== purpose)
      throw cryptoProblems.key_unavailable(`there is no ${purpose} key "${name}"`);
    const found =
      version === undefined
        ? key.versions.findLast(({ state }) => state === 'active')
        : key.versions.find((candidate) => candidate.version === version);
    if (found) return found;
    const which = version === undefined ? 'active version' : `version ${version}`;
    throw cryptoProblems.key_unavailable(`the key "${name}" has no ${which}`);
  };

  const usable = <Purpose extends KeyPurpose>(
    name: string,
    purpose: Purpose,
    version?: number,
    use: VersionUse = {},
  ) => {
    const found = versionOf(name, purpose, version);
    const which = `version ${found.version} of the key "${name}"`;
    if (!found.usable) throw cryptoProblems.key_unavailable(`${which} was destroyed`);
    if (found.state === 'compromised' && use.compromised !== true) {
      throw ringProblems.key_compromised(`${which} is marked as compromised`);
    }
    if (version === undefined) note(name, found.version, purpose);
    return { version: found.version, ...(found.usable as Extract<Usable, { purpose: Purpose }>) };
  };

  const note = (name: string, version: number, purpose: KeyPurpose): void => {
    if (purpose !== 'wrap' && purpose !== 'seal') return;
    const written = file.document.keys[name]?.versions[version - 1]?.uses ?? 0;
    const id = idOf(name, version);
    if (purpose === 'seal' && counter.uses(id, written) >= SEAL_USES_MAX) {
      throw ringProblems.key_exhausted(`version ${version} of the key "${name}" has sealed 2^32 values`);
    }
    counter.count(id, written);
  };

  const factsOf = (name: string, { purpose, rotateDays, versions }: RingKey): KeyFacts => ({
    name,
    purpose,
    rotateDays,
    versions: versions.map(({ version, createdAt, state, stateSince, uses }) => ({
      version,
      createdAt,
      state,
      stateSince,
      // Not more than is written: what was shown must still be shown after a crash.
      uses: Math.min(counter.uses(idOf(name, version), uses), uses),
    })),
  });

  const keyed = (purpose: 'seal' | 'mac') => (name: string, version?: number, use?: VersionUse) => {
    const found = usable(name, purpose, version, use);
    return { version: found.version, key: found.key };
  };

  return {
    list: () => Object.entries(file.document.keys).map(([name, key]) => factsOf(name, key)),
    find(name) {
      const key = Object.hasOwn(file.document.keys, name) ? file.document.keys[name] : undefined;
      return key && factsOf(name, key);
    },
    generation: () => file.document.generation,
    ensure: (name, purpose) => change(assurance(name, purpose, clock.now())),
    create: (name, purpose, { rotateDays } = {}) => change(creation(name, purpose, rotateDays, clock.now())),
    setRotateDays: (name, rotateDays) => change(rescheduling(name, rotateDays)),
    rotate: (name) => change(rotation(name, clock.now())),
    setState: (name, version, state) => change(marking(name, version, state, clock.now())),
    destroy: (name, version) => change(destruction(name, version, clock.now())),
    recipient(name) {
      const { version, recipient } = usable(name, 'wrap');
      return { version, recipient };
    },
    identity: (name, version, use) => usable(name, 'wrap', version, use).identity,
    sealKey: keyed('seal'),
    macKey: keyed('mac'),
    signingKey(name, version, use) {
      const found = usable(name, 'sign', version, use);
      return { version: found.version, key: found.key(use?.algorithm ?? 'ed25519') };
    },
    onWrite: (listener) => void listeners.push(listener),
    async close() {
      if (closed) return;
      await change(counting((name, { version, uses }) => counter.uses(idOf(name, version), uses))).finally(
        () => {
          closed = true;
        },
      );
    },
  };
}

function idOf(name: string, version: number): string {
  return `${name}/${version}`;
}
