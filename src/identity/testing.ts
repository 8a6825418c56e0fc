import { createSecretKey, hash, randomBytes } from 'node:crypto';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import { createManualClock, type ManualClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import type { PasswordHasher } from './password/hasher.ts';
import { createIdentity, type Identity, type IdentityDependencies } from './service.ts';
import { createMemoryStore } from './memory-store.ts';
import type { IdentityStore } from './store.ts';

/** A ring of mac keys in memory, which can be turned to a new version. */
export function createTestRing(): Pick<KeyRing, 'ensure' | 'macKey'> & {
  rotate(name: string): void;
  compromise(name: string, version: number): void;
} {
  const keys = new Map<string, ReturnType<typeof createSecretKey>[]>();
  const compromised = new Set<string>();
  const newKey = () => createSecretKey(randomBytes(32));
  return {
    async ensure(name) {
      if (!keys.has(name)) keys.set(name, [newKey()]);
    },
    macKey(name, version = keys.get(name)?.length ?? 0, use = {}) {
      if (compromised.has(`${name}/${version}`) && use.compromised !== true) {
        throw ringProblems.key_compromised(`version ${version} of ${name} is compromised`);
      }
      const key = keys.get(name)?.[version - 1];
      if (key === undefined) throw new Error(`no version ${version} of ${name}`);
      return { version, key };
    },
    rotate: (name) => void keys.get(name)?.push(newKey()),
    compromise: (name, version) => void compromised.add(`${name}/${version}`),
  };
}

export interface CountingHasher extends PasswordHasher {
  /** Passwords verified or hashed so far. */
  readonly calls: () => number;
  /** While held, verifications wait. */
  hold(): () => void;
}

/** Counts what would have been argon2; itself it is a plain digest bound to the user. */
export function createCountingHasher(): CountingHasher {
  let calls = 0;
  let gate: Promise<void> = Promise.resolve();
  const of = (password: string, userId: string): string => hash('sha256', `${userId} ${password}`);
  return {
    calls: () => calls,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    async hash(password, userId) {
      calls++;
      return of(password, userId);
    },
    async verify(password, userId, stored) {
      calls++;
      await gate;
      return stored === of(password, userId) ? 'match' : 'mismatch';
    },
    close: async () => {},
  };
}

export const GOOD_PASSWORD = 'violet tubas at noon';

export interface TestKeep {
  readonly identity: Identity;
  readonly clock: ManualClock;
  readonly hasher: CountingHasher;
  readonly store: IdentityStore;
  /** `Basic` with the user's password. */
  basic(name: string, password?: string): string;
}

/** The room with its doubles: a memory store, a manual clock, a hasher that counts; and the user `ada`. */
export async function createTestKeep(changes: Partial<IdentityDependencies> = {}): Promise<TestKeep> {
  const clock = createManualClock();
  const hasher = createCountingHasher();
  const store = changes.store ?? createMemoryStore();
  const identity = await createIdentity({
    store,
    keyRing: createTestRing(),
    clock,
    hasher,
    groupsOf: () => [],
    grantAdmin: async () => {},
    ...changes,
  });
  if (identity.users.find('ada') === undefined) {
    await identity.users.create({ name: 'ada', password: new Secret(GOOD_PASSWORD) });
  }
  return { identity, clock, hasher, store, basic };
}

export function basic(name: string, password = GOOD_PASSWORD): string {
  return `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
}
