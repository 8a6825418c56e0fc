import type { ApiKeyRecord, PrincipalRecord, Subject } from './record.ts';

/**
 * All principals and keys, in memory: authentication asks no database. One process owns the keep, so what a committed
 * change puts here is what the next request sees. Maps throughout: `__proto__` is a name like any other.
 */
export interface Directory {
  user(name: string): PrincipalRecord | undefined;
  byId(id: string): PrincipalRecord | undefined;
  /** By name or id, of one kind. */
  find(kind: PrincipalRecord['kind'], reference: string): PrincipalRecord | undefined;
  /** `user:NAME`, `service-account:NAME`, `usr_…`, `sa_…`. */
  subject(reference: string): Subject | undefined;
  list(kind: PrincipalRecord['kind']): readonly PrincipalRecord[];
  keyByPublicId(publicId: string): ApiKeyRecord | undefined;
  /** By `key_…` id or public id. */
  key(reference: string): ApiKeyRecord | undefined;
  keysOf(ownerId: string): readonly ApiKeyRecord[];
  keys(): readonly ApiKeyRecord[];

  put(record: PrincipalRecord): void;
  /** Removes a principal and its keys. */
  remove(id: string): void;
  putKey(record: ApiKeyRecord): void;
  /** Runs changes one after another, so that each sees what the one before it left. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

export function createDirectory(content: {
  readonly principals: readonly PrincipalRecord[];
  readonly keys: readonly ApiKeyRecord[];
}): Directory {
  const byId = new Map<string, PrincipalRecord>();
  const byName = { user: new Map<string, string>(), service_account: new Map<string, string>() };
  const keysById = new Map<string, ApiKeyRecord>();
  const keyIds = new Map<string, string>();
  let tail: Promise<unknown> = Promise.resolve();

  function named(kind: PrincipalRecord['kind'], name: string): PrincipalRecord | undefined {
    const id = byName[kind].get(name);
    return id === undefined ? undefined : byId.get(id);
  }

  function find(kind: PrincipalRecord['kind'], reference: string): PrincipalRecord | undefined {
    const record = named(kind, reference) ?? byId.get(reference);
    return record?.kind === kind ? record : undefined;
  }

  function put(record: PrincipalRecord): void {
    byId.set(record.id, record);
    byName[record.kind].set(record.name, record.id);
  }

  function putKey(record: ApiKeyRecord): void {
    keysById.set(record.id, record);
    keyIds.set(record.publicId, record.id);
  }

  function keyByPublicId(publicId: string): ApiKeyRecord | undefined {
    const id = keyIds.get(publicId);
    return id === undefined ? undefined : keysById.get(id);
  }

  const keysOf = (ownerId: string): ApiKeyRecord[] =>
    [...keysById.values()].filter((key) => key.ownerId === ownerId);

  content.principals.forEach(put);
  content.keys.forEach(putKey);

  return {
    user: (name) => named('user', name),
    byId: (id) => byId.get(id),
    find,
    subject(reference) {
      const record = reference.startsWith('user:')
        ? named('user', reference.slice('user:'.length))
        : reference.startsWith('service-account:')
          ? named('service_account', reference.slice('service-account:'.length))
          : byId.get(reference);
      return record === undefined ? undefined : { id: record.id, kind: record.kind, name: record.name };
    },
    list: (kind) =>
      [...byId.values()]
        .filter((record) => record.kind === kind)
        .toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    keyByPublicId,
    key: (reference) => keysById.get(reference) ?? keyByPublicId(reference),
    keysOf,
    keys: () => [...keysById.values()],
    put,
    remove(id) {
      const record = byId.get(id);
      if (record === undefined) return;
      byId.delete(id);
      byName[record.kind].delete(record.name);
      for (const key of keysOf(id)) {
        keysById.delete(key.id);
        keyIds.delete(key.publicId);
      }
    },
    putKey,
    inTurn(work) {
      const run = tail.then(work, work);
      tail = run.catch(() => undefined);
      return run;
    },
  };
}
