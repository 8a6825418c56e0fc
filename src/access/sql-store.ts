import type { Kysely, Transaction } from 'kysely';
import type { Database } from '../storage/database.ts';
import type { Schema } from '../storage/schema.ts';
import type { Binding, PolicyChange, Role } from './policy.ts';
import { accessProblems } from './problems.ts';
import type { AccessStore } from './store.ts';

/** The policy in the keep's database. */
export function createSqlStore(database: Database): AccessStore {
  return {
    // One transaction, so that no change falls between two of its reads.
    load: () =>
      database.query.transaction().execute(async (transaction) => ({
        revision: await readRevision(transaction),
        roles: await readRoles(transaction),
        groups: await readGroups(transaction),
        bindings: (await transaction.selectFrom('bindings').selectAll().orderBy('id').execute()).map(
          toBinding,
        ),
      })),
    revision: () => readRevision(database.query),
    apply: (expected, changes) =>
      database.write(async (transaction) => {
        const moved = await transaction
          .updateTable('policy_revision')
          .set({ revision: expected + 1 })
          .where('revision', '=', expected)
          .executeTakeFirst();
        if (moved.numUpdatedRows !== 1n)
          throw accessProblems.conflict(`the policy is no longer at revision ${expected}`);
        for (const change of changes) await step(transaction, change);
        return expected + 1;
      }),
  };
}

async function readRevision(query: Kysely<Schema>): Promise<number> {
  return (await query.selectFrom('policy_revision').select('revision').executeTakeFirstOrThrow()).revision;
}

async function readRoles(query: Kysely<Schema>): Promise<readonly Role[]> {
  const permissions = listOf(
    (await query.selectFrom('role_permissions').selectAll().orderBy('permission').execute()).map((row) => [
      row.role_id,
      row.permission,
    ]),
  );
  const parents = listOf(
    (await query.selectFrom('role_parents').selectAll().orderBy('parent_id').execute()).map((row) => [
      row.role_id,
      row.parent_id,
    ]),
  );
  const rows = await query.selectFrom('roles').selectAll().orderBy('id').execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    builtin: false,
    permissions: permissions.get(row.id) ?? [],
    parents: parents.get(row.id) ?? [],
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}

async function readGroups(query: Kysely<Schema>) {
  const members = listOf(
    (await query.selectFrom('group_members').selectAll().orderBy('member_id').execute()).map((row) => [
      row.group_id,
      row.member_id,
    ]),
  );
  const rows = await query.selectFrom('groups').selectAll().orderBy('id').execute();
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    createdAt: row.created_at,
    members: new Set(members.get(row.id)),
  }));
}

function toBinding(row: Schema['bindings']): Binding {
  return {
    id: row.id,
    subject: row.subject_id,
    role: row.role,
    scope: row.scope,
    effect: row.effect,
    notBefore: row.not_before,
    expiresAt: row.expires_at,
    reason: row.reason,
    createdBy: row.created_by,
    createdAt: row.created_at,
  };
}

async function step(transaction: Transaction<Schema>, change: PolicyChange): Promise<void> {
  switch (change.kind) {
    case 'put_role':
      return putRole(transaction, change.role);
    case 'delete_role':
      await transaction.deleteFrom('roles').where('id', '=', change.id).execute();
      return;
    case 'add_group': {
      const { id, name, createdAt } = change.group;
      await transaction.insertInto('groups').values({ id, name, created_at: createdAt }).execute();
      return;
    }
    case 'delete_group':
      await transaction.deleteFrom('groups').where('id', '=', change.id).execute();
      return;
    case 'add_member':
      await transaction
        .insertInto('group_members')
        .values({ group_id: change.group, member_id: change.member })
        .onConflict((conflict) => conflict.doNothing())
        .execute();
      return;
    case 'remove_member':
      await transaction
        .deleteFrom('group_members')
        .where('group_id', '=', change.group)
        .where('member_id', '=', change.member)
        .execute();
      return;
    case 'add_binding':
      await transaction.insertInto('bindings').values(toRow(change.binding)).execute();
      return;
    case 'delete_binding':
      await transaction.deleteFrom('bindings').where('id', '=', change.id).execute();
  }
}

async function putRole(transaction: Transaction<Schema>, role: Role): Promise<void> {
  const { id, name, description } = role;
  const row = { name, description, created_at: role.createdAt, updated_at: role.updatedAt };
  await transaction
    .insertInto('roles')
    .values({ id, ...row })
    .onConflict((conflict) => conflict.column('id').doUpdateSet(row))
    .execute();
  await transaction.deleteFrom('role_permissions').where('role_id', '=', id).execute();
  await transaction.deleteFrom('role_parents').where('role_id', '=', id).execute();
  for (const permission of role.permissions) {
    await transaction.insertInto('role_permissions').values({ role_id: id, permission }).execute();
  }
  for (const parent of role.parents) {
    await transaction.insertInto('role_parents').values({ role_id: id, parent_id: parent }).execute();
  }
}

function toRow(binding: Binding): Schema['bindings'] {
  return {
    id: binding.id,
    subject_id: binding.subject,
    role: binding.role,
    scope: binding.scope,
    effect: binding.effect,
    not_before: binding.notBefore,
    expires_at: binding.expiresAt,
    reason: binding.reason,
    created_by: binding.createdBy,
    created_at: binding.createdAt,
  };
}

function listOf(pairs: readonly (readonly [string, string])[]): ReadonlyMap<string, string[]> {
  const lists = new Map<string, string[]>();
  for (const [key, value] of pairs) {
    const list = lists.get(key);
    if (list === undefined) lists.set(key, [value]);
    else list.push(value);
  }
  return lists;
}
