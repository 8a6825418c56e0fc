import { cryptoProblems } from '../crypto/problems.ts';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { Clock } from '../kernel/clock.ts';
import { type Log, silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Responses } from '../audit/detect/responses.ts';
import type { Tags } from '../audit/detect/tags.ts';
import { type ApiKeys, API_KEY_RING_KEY, createApiKeys, createMacKeys } from './api-keys.ts';
import { type Authenticator, createAuthenticator } from './authenticator.ts';
import { createDirectory, type Directory } from './directory.ts';
import { createArgon2Worker } from './password/argon2.ts';
import { createPasswordHasher, type PasswordHasher } from './password/hasher.ts';
import type { Argon2Cost } from './password/phc.ts';
import { createPrincipals, createUsers, type Principals, type Users } from './principals.ts';
import type { PrincipalRecord, Subject } from './record.ts';
import { createSetup, type Setup } from './setup.ts';
import type { IdentityStore } from './store.ts';
import { createThrottle } from './throttle.ts';
import { createVerifiedCache } from './verified-cache.ts';

/** Who the principals are and how they prove it. */
export interface Identity extends Setup {
  readonly users: Users;
  readonly serviceAccounts: Principals;
  readonly apiKeys: ApiKeys;
  readonly authenticator: Authenticator;
  /** `user:NAME`, `service-account:NAME`, `usr_…`, `sa_…`; undefined if there is none. */
  resolveSubject(reference: string): Subject | undefined;
  /** Writes what is pending and ends the hashing thread. */
  close(): Promise<void>;
}

export interface IdentityDependencies {
  readonly store: IdentityStore;
  readonly keyRing: Pick<KeyRing, 'ensure' | 'macKey'>;
  readonly clock: Clock;
  readonly groupsOf: (principalId: string) => readonly string[];
  /** Binds the role admin at `/` to the first user. */
  readonly grantAdmin: (userId: string) => Promise<void>;
  /** Ends bindings and group memberships of a principal that was deleted. Ids are never given twice. */
  readonly onSubjectRemoved?: (id: string) => Promise<void> | void;
  /** Throws if the keep could not be governed without this principal; asked before one is disabled. */
  readonly assertRemovable?: (id: string) => void;
  /** Is a text a permission of the catalogue? Without it, API key scopes are checked for their form alone. */
  readonly isPermission?: (text: string) => boolean;
  /** What detections do about visitors, and how they tell guesses apart. Without them nobody is held up. */
  readonly detection?: {
    readonly tags: Pick<Tags, 'secret' | 'claim'>;
    readonly judge: Responses['verdict'];
  };
  /** What passwords may not consist of: the host's name. */
  readonly contextWords?: readonly string[];
  readonly log?: Log;
  /** For tests and benchmarks. */
  readonly hasher?: PasswordHasher;
  readonly cost?: Argon2Cost;
}

const PEPPER = 'password-pepper';

/** Ensures its two ring keys, reads all principals into memory, and serves. */
export async function createIdentity(dependencies: IdentityDependencies): Promise<Identity> {
  const { store, keyRing, clock, groupsOf, contextWords = [], log = silentLog } = dependencies;
  await keyRing.ensure(API_KEY_RING_KEY, 'mac');
  await keyRing.ensure(PEPPER, 'mac');
  const directory = createDirectory(await store.load());
  const hasher = dependencies.hasher ?? createPepperedHasher(keyRing, clock, dependencies.cost);
  const macKeys = createMacKeys(keyRing);
  const onRemoved = dependencies.onSubjectRemoved ?? (() => {});
  const isPermission = dependencies.isPermission ?? (() => true);
  const apiKeys = createApiKeys({ store, directory, macKeys, clock, log, isPermission });
  const assertRemovable = dependencies.assertRemovable ?? (() => {});
  const shared = { store, directory, clock, onRemoved, assertRemovable };
  /** Credentials that are being put under today's cost or key. */
  const renewals = new Set<Promise<void>>();
  const renew = (renewal: Promise<void>): void => {
    renewals.add(renewal);
    void renewal.finally(() => renewals.delete(renewal));
  };

  return {
    ...createSetup({ ...shared, hasher, contextWords, grantAdmin: dependencies.grantAdmin }),
    users: createUsers({ ...shared, hasher, contextWords }),
    serviceAccounts: createPrincipals('service_account', shared),
    apiKeys,
    authenticator: createAuthenticator({
      directory,
      hasher,
      macKeys,
      throttle: createThrottle({ clock }),
      verified: createVerifiedCache({ clock }),
      clock,
      groupsOf,
      ...dependencies.detection,
      onKeyUsed: (key) => apiKeys.used(key),
      onStaleHash(user, password) {
        const rehash = replaceHash({ store, directory, hasher }, user, password).catch((error: unknown) => {
          log.warn('identity.rehash_failed', {
            user: user.id,
            error: error instanceof Error ? error : String(error),
          });
        });
        renew(rehash);
      },
      onStaleMac: (key, text) => renew(apiKeys.restamp(key, text)),
    }),
    resolveSubject: (reference) => directory.subject(reference),
    async close() {
      await Promise.all(renewals);
      await apiKeys.flush();
      await hasher.close();
    },
  };
}

/**
 * Old hashes name the version of the pepper they were made with. A compromised one still verifies: to refuse it would lock
 * out everyone, and the next right login replaces it.
 */
function createPepperedHasher(
  keyRing: Pick<KeyRing, 'macKey'>,
  clock: Clock,
  cost: Argon2Cost | undefined,
): PasswordHasher {
  const peppers = {
    get(version: number): Uint8Array | undefined {
      try {
        return keyRing.macKey(PEPPER, version, { compromised: true }).key.export();
      } catch (error) {
        if (isProblem(error, cryptoProblems.key_unavailable)) return undefined;
        throw error;
      }
    },
  };
  return createPasswordHasher({
    argon2: createArgon2Worker({ peppers }),
    pepperVersion: () => keyRing.macKey(PEPPER).version,
    clock,
    ...(cost === undefined ? {} : { cost }),
  });
}

/** The same password at today's cost: the credential version stays, so verified passwords live on. */
async function replaceHash(
  { store, directory, hasher }: { store: IdentityStore; directory: Directory; hasher: PasswordHasher },
  user: PrincipalRecord,
  password: Secret<string>,
): Promise<void> {
  const from = user.password;
  if (from === null) return;
  const to = await hasher.hash(password.reveal(), user.id);
  await directory.inTurn(async () => {
    const current = directory.byId(user.id);
    if (current?.password !== from || !(await store.replaceHash(user.id, from, to))) return;
    directory.put({ ...current, password: to });
  });
}
