import type { Transaction } from 'kysely';
import type { Grant } from '../kernel/principal.ts';
import { type Members, toColumns, toMembers } from '../storage/columns.ts';
import type { Database } from '../storage/database.ts';
import type { Schema } from '../storage/schema.ts';
import { identityProblems } from './problems.ts';
import type { ApiKeyRecord, PrincipalRecord } from './record.ts';
import type { IdentityStore } from './store.ts';

/** The store in the keep's database. */
export function createSqlStore(database: Database): IdentityStore {
  const { query } = database;
  return {
    async load() {
      const users = await query.selectFrom('users').selectAll().execute();
      const accounts = await query.selectFrom('service_accounts').selectAll().execute();
      const keys = await query.selectFrom('api_keys').selectAll().execute();
      return {
        principals: [
          ...toMembers(users).map((user) => ({ kind: 'user' as const, ...user })),
          ...toMembers(accounts).map((account) => ({
            kind: 'service_account' as const,
            password: null,
            ...account,
          })),
        ],
        keys: toMembers(keys).map(keyOf),
      };
    },
    insertPrincipal: (record) => database.write((transaction) => insertPrincipal(transaction, record)),
    updatePrincipal: (record, revokeKeysAt) =>
      database.write(async (transaction) => {
        const { display, state, credentialVersion, updatedAt, password } = record;
        const change = toColumns({ display, state, credentialVersion, updatedAt });
        if (record.kind === 'user') {
          const withPassword = { ...change, password };
          await transaction.updateTable('users').set(withPassword).where('id', '=', record.id).execute();
        } else {
          await transaction.updateTable('service_accounts').set(change).where('id', '=', record.id).execute();
        }
        if (revokeKeysAt === undefined) return;
        await transaction
          .updateTable('api_keys')
          .set({ revoked_at: revokeKeysAt })
          .where('owner_id', '=', record.id)
          .where('revoked_at', 'is', null)
          .execute();
      }),
    deletePrincipal: (id) =>
      database.write(async (transaction) => {
        await transaction.deleteFrom('api_keys').where('owner_id', '=', id).execute();
        await transaction.deleteFrom('users').where('id', '=', id).execute();
        await transaction.deleteFrom('service_accounts').where('id', '=', id).execute();
      }),
    replaceHash: (id, from, to) =>
      database.write(async (transaction) => {
        const result = await transaction
          .updateTable('users')
          .set({ password: to })
          .where('id', '=', id)
          .where('password', '=', from)
          .executeTakeFirst();
        return result.numUpdatedRows === 1n;
      }),
    insertKey: (record) =>
      database.write(async (transaction) => {
        await transaction.insertInto('api_keys').values(rowOfKey(record)).execute();
      }),
    revokeKey: (id, at) =>
      database.write(async (transaction) => {
        await transaction
          .updateTable('api_keys')
          .set({ revoked_at: at })
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
          .execute();
      }),
    replaceMac: (id, from, { mac, macKeyVersion }) =>
      database.write(async (transaction) => {
        const { numUpdatedRows } = await transaction
          .updateTable('api_keys')
          .set({ mac, mac_key_version: macKeyVersion })
          .where('id', '=', id)
          .where('mac_key_version', '=', from)
          .executeTakeFirst();
        return numUpdatedRows === 1n;
      }),
    touchKeys: (uses) =>
      database.write(async (transaction) => {
        for (const [id, at] of uses) {
          await transaction.updateTable('api_keys').set({ last_used_at: at }).where('id', '=', id).execute();
        }
      }),
    replaceSetupToken: ({ digest, createdAt, expiresAt }) =>
      database.write(async (transaction) => {
        await transaction.deleteFrom('setup_tokens').execute();
        const row = toColumns({ digest, createdAt, expiresAt, usedAt: null });
        await transaction.insertInto('setup_tokens').values(row).execute();
      }),
    isSetupTokenOpen: (digest, now) => isTokenOpen(query, digest, now),
    completeSetup: (digest, now, user) =>
      database.write(async (transaction) => {
        const anyUser = await transaction.selectFrom('users').select('id').limit(1).executeTakeFirst();
        if (anyUser !== undefined || !(await isTokenOpen(transaction, digest, now))) return false;
        await transaction
          .updateTable('setup_tokens')
          .set({ used_at: now })
          .where('digest', '=', digest)
          .execute();
        await insertPrincipal(transaction, user);
        return true;
      }),
    undoSetup: (digest, userId) =>
      database.write(async (transaction) => {
        await transaction.deleteFrom('users').where('id', '=', userId).execute();
        await transaction
          .updateTable('setup_tokens')
          .set({ used_at: null })
          .where('digest', '=', digest)
          .execute();
      }),
  };
}

async function isTokenOpen(
  query: Pick<Database['query'], 'selectFrom'>,
  digest: Uint8Array,
  now: number,
): Promise<boolean> {
  const row = await query
    .selectFrom('setup_tokens')
    .select('digest')
    .where('digest', '=', digest)
    .where('used_at', 'is', null)
    .where('expires_at', '>', now)
    .executeTakeFirst();
  return row !== undefined;
}

async function insertPrincipal(transaction: Transaction<Schema>, record: PrincipalRecord): Promise<void> {
  const table = record.kind === 'user' ? 'users' : 'service_accounts';
  const taken = await transaction
    .selectFrom(table)
    .select('id')
    .where('name', '=', record.name)
    .executeTakeFirst();
  if (taken !== undefined) throw identityProblems.name_taken(`the name "${record.name}" is taken`);
  const { kind, password, ...account } = record;
  const row = toColumns(account);
  if (kind === 'service_account') await transaction.insertInto('service_accounts').values(row).execute();
  else
    await transaction
      .insertInto('users')
      .values({ ...row, password })
      .execute();
}

function keyOf(row: Members<Schema['api_keys']>): ApiKeyRecord {
  return { ...row, scopes: row.scopes === null ? null : (JSON.parse(row.scopes) as Grant[]) };
}

function rowOfKey(record: ApiKeyRecord): Schema['api_keys'] {
  return { ...toColumns(record), scopes: record.scopes === null ? null : JSON.stringify(record.scopes) };
}
