import type { Clock } from '../kernel/clock.ts';
import { newId, parseId } from '../kernel/id.ts';
import type { Secret } from '../kernel/secret.ts';
import type { Directory } from './directory.ts';
import { checkPassword } from './password/policy.ts';
import type { PasswordHasher } from './password/hasher.ts';
import { identityProblems } from './problems.ts';
import { type Account, type PrincipalRecord, toAccount } from './record.ts';
import type { IdentityStore } from './store.ts';

/** Service accounts, and what users share with them. A `reference` is a name or an id. */
export interface Principals {
  list(): readonly Account[];
  find(reference: string): Account | undefined;
  /** Throws `identity.not_found`. */
  get(reference: string): Account;
  /** Throws `identity.name_taken`, `identity.name_invalid`. */
  create(request: { readonly name: string; readonly display?: string }): Promise<Account>;
  /** Disabling revokes its API keys for good and ends every verified password, before the promise resolves. */
  update(reference: string, change: AccountChange): Promise<Account>;
  /** Removes it, its keys, and through `onRemoved` its bindings and memberships. */
  remove(reference: string): Promise<Account>;
}

export interface Users extends Principals {
  /** Throws also `identity.password_refused`, `identity.busy`. Without a password only API keys can open the account. */
  create(request: {
    readonly name: string;
    readonly display?: string;
    readonly password?: Secret<string>;
  }): Promise<Account>;
  /** The old password ends before the promise resolves; API keys live on. */
  setPassword(reference: string, password: Secret<string>): Promise<Account>;
}

export interface AccountChange {
  readonly display?: string;
  readonly state?: 'active' | 'disabled';
}

interface PrincipalsDependencies {
  readonly store: Pick<IdentityStore, 'insertPrincipal' | 'updatePrincipal' | 'deletePrincipal'>;
  readonly directory: Directory;
  readonly clock: Clock;
  readonly onRemoved: (id: string) => Promise<void> | void;
  /** Throws if the keep could not be governed without this principal. */
  readonly assertRemovable: (id: string) => void;
}

export function createPrincipals(
  kind: PrincipalRecord['kind'],
  { store, directory, clock, onRemoved, assertRemovable }: PrincipalsDependencies,
): Principals {
  return {
    list: () => directory.list(kind).map(toAccount),
    find(reference) {
      const record = directory.find(kind, reference);
      return record === undefined ? undefined : toAccount(record);
    },
    get: (reference) => toAccount(requireRecord(directory, kind, reference)),
    async create(request) {
      const id = newPrincipalId(kind, clock);
      return insert(store, directory, newRecord({ ...request, kind, id, password: null }, clock));
    },
    update: (reference, change) =>
      directory.inTurn(async () => {
        const before = requireRecord(directory, kind, reference);
        const state = change.state ?? before.state;
        const after: PrincipalRecord = {
          ...before,
          display: displayOf(change.display ?? before.display),
          state,
          credentialVersion: before.credentialVersion + (state === before.state ? 0 : 1),
          updatedAt: clock.now(),
        };
        if (state === before.state || state === 'active') {
          await store.updatePrincipal(after);
          directory.put(after);
          return toAccount(after);
        }
        assertRemovable(after.id);
        const now = clock.now();
        await store.updatePrincipal(after, now);
        directory.put(after);
        for (const key of directory.keysOf(after.id))
          directory.putKey({ ...key, revokedAt: key.revokedAt ?? now });
        return toAccount(after);
      }),
    async remove(reference) {
      const removed = await directory.inTurn(async () => {
        const record = requireRecord(directory, kind, reference);
        // First the rights: it may refuse, and a principal without rights is safe if what follows fails.
        await onRemoved(record.id);
        await store.deletePrincipal(record.id);
        directory.remove(record.id);
        return record;
      });
      return toAccount(removed);
    },
  };
}

export function createUsers({
  hasher,
  contextWords,
  ...dependencies
}: PrincipalsDependencies & {
  readonly hasher: Pick<PasswordHasher, 'hash'>;
  /** What passwords may not consist of: the host's name. */
  readonly contextWords: readonly string[];
}): Users {
  const { store, directory, clock } = dependencies;
  return {
    ...createPrincipals('user', dependencies),
    async create({ password, ...request }) {
      const record = await newUser({ ...request, password }, { hasher, clock, contextWords });
      return insert(store, directory, record);
    },
    async setPassword(reference, password) {
      const { id, name } = requireRecord(directory, 'user', reference);
      checkPassword(password.reveal(), [name, ...contextWords]);
      const hash = await hasher.hash(password.reveal(), id);
      return directory.inTurn(async () => {
        const before = requireRecord(directory, 'user', id);
        const after: PrincipalRecord = {
          ...before,
          password: hash,
          credentialVersion: before.credentialVersion + 1,
          updatedAt: clock.now(),
        };
        await store.updatePrincipal(after);
        directory.put(after);
        return toAccount(after);
      });
    },
  };
}

/** The record of a user that is yet to be stored: name and password checked, password hashed. */
export async function newUser(
  request: {
    readonly name: string;
    readonly display?: string;
    readonly password: Secret<string> | undefined;
  },
  {
    hasher,
    clock,
    contextWords,
  }: { hasher: Pick<PasswordHasher, 'hash'>; clock: Clock; contextWords: readonly string[] },
): Promise<PrincipalRecord> {
  const { password: secret, ...rest } = request;
  const record = newRecord(
    { ...rest, kind: 'user', id: newPrincipalId('user', clock), password: null },
    clock,
  );
  if (secret === undefined) return record;
  checkPassword(secret.reveal(), [record.name, ...contextWords]);
  return { ...record, password: await hasher.hash(secret.reveal(), record.id) };
}

function insert(
  store: Pick<IdentityStore, 'insertPrincipal'>,
  directory: Directory,
  record: PrincipalRecord,
): Promise<Account> {
  return directory.inTurn(async () => {
    await store.insertPrincipal(record);
    directory.put(record);
    return toAccount(record);
  });
}

function newRecord(
  {
    id,
    kind,
    name,
    display,
    password,
  }: Pick<PrincipalRecord, 'id' | 'kind' | 'name' | 'password'> & { readonly display?: string },
  clock: Clock,
): PrincipalRecord {
  if (!NAME.test(name) || /^(?:usr|sa|grp|key)_/.test(name)) {
    throw identityProblems.name_invalid(
      'a name has 1 to 63 lower-case letters, digits, hyphens or underscores',
    );
  }
  const now = clock.now();
  return {
    id,
    kind,
    name,
    display: displayOf(display ?? ''),
    state: 'active',
    password,
    credentialVersion: 1,
    createdAt: now,
    updatedAt: now,
  };
}

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const DISPLAY_LENGTH_MAX = 200;

function displayOf(text: string): string {
  if (Array.from(text).length <= DISPLAY_LENGTH_MAX && !/\p{Cc}/u.test(text)) return text;
  throw identityProblems.name_invalid(
    `a display name has at most ${DISPLAY_LENGTH_MAX} characters, none of control`,
  );
}

function newPrincipalId(kind: PrincipalRecord['kind'], clock: Clock): string {
  return kind === 'user' ? newId('usr', clock) : newId('sa', clock);
}

function requireRecord(
  directory: Directory,
  kind: PrincipalRecord['kind'],
  reference: string,
): PrincipalRecord {
  const record = directory.find(kind, reference);
  if (record !== undefined) return record;
  const what = kind === 'user' ? 'user' : 'service account';
  const shown = NAME.test(reference) || parseId(kind === 'user' ? 'usr' : 'sa', reference) !== undefined;
  throw identityProblems.not_found(shown ? `there is no ${what} "${reference}"` : `there is no such ${what}`);
}
