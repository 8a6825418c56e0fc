import { identityProblems } from './problems.ts';
import type { ApiKeyRecord, PrincipalRecord } from './record.ts';
import type { IdentityStore } from './store.ts';

/** The store's double: keeps nothing beyond the process. */
export function createMemoryStore(): IdentityStore {
  const principals = new Map<string, PrincipalRecord>();
  const keys = new Map<string, ApiKeyRecord>();
  let token: { digest: string; expiresAt: number; used: boolean } | undefined;

  const isOpen = (digest: Uint8Array, now: number): boolean =>
    token !== undefined && !token.used && token.digest === hex(digest) && now < token.expiresAt;

  function insert(record: PrincipalRecord): void {
    for (const other of principals.values()) {
      if (other.kind === record.kind && other.name === record.name) throw nameTaken(record.name);
    }
    principals.set(record.id, record);
  }

  function revoke(key: ApiKeyRecord, at: number): void {
    if (key.revokedAt === null) keys.set(key.id, { ...key, revokedAt: at });
  }

  return {
    load: async () => ({ principals: [...principals.values()], keys: [...keys.values()] }),
    insertPrincipal: async (record) => insert(record),
    async updatePrincipal(record, revokeKeysAt) {
      const before = principals.get(record.id);
      if (before === undefined) return;
      const { id, kind, name, createdAt } = before;
      principals.set(id, { ...record, id, kind, name, createdAt });
      if (revokeKeysAt === undefined) return;
      for (const key of keys.values()) if (key.ownerId === id) revoke(key, revokeKeysAt);
    },
    async deletePrincipal(id) {
      principals.delete(id);
      for (const key of keys.values()) if (key.ownerId === id) keys.delete(key.id);
    },
    async replaceHash(id, from, to) {
      const record = principals.get(id);
      if (record === undefined || record.password !== from) return false;
      principals.set(id, { ...record, password: to });
      return true;
    },
    async insertKey(record) {
      keys.set(record.id, record);
    },
    async revokeKey(id, at) {
      const key = keys.get(id);
      if (key !== undefined) revoke(key, at);
    },
    async replaceMac(id, from, to) {
      const key = keys.get(id);
      if (key?.macKeyVersion !== from) return false;
      keys.set(id, { ...key, ...to });
      return true;
    },
    async touchKeys(uses) {
      for (const [id, lastUsedAt] of uses) {
        const key = keys.get(id);
        if (key !== undefined) keys.set(id, { ...key, lastUsedAt });
      }
    },
    async replaceSetupToken({ digest, expiresAt }) {
      token = { digest: hex(digest), expiresAt, used: false };
    },
    isSetupTokenOpen: async (digest, now) => isOpen(digest, now),
    async completeSetup(digest, now, user) {
      const hasUser = [...principals.values()].some((record) => record.kind === 'user');
      if (hasUser || !isOpen(digest, now) || token === undefined) return false;
      insert(user);
      token.used = true;
      return true;
    },
    async undoSetup(digest, userId) {
      principals.delete(userId);
      if (token?.digest === hex(digest)) token.used = false;
    },
  };
}

function nameTaken(name: string): Error {
  return identityProblems.name_taken(`the name "${name}" is taken`);
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
