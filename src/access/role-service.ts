import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import type { Caller } from '../kernel/principal.ts';
import { difference, type PermissionSet, permissionSet, permissionsMatching, union } from './catalogue.ts';
import { assertMayHandOver, type Handover } from './escalation.ts';
import { assertName } from './name.ts';
import type { Role } from './policy.ts';
import { lineage, type PolicyIndex } from './policy-index.ts';
import type { PolicyEditor } from './policy-editor.ts';
import { accessProblems } from './problems.ts';

export interface RoleDraft {
  readonly name: string;
  readonly description: string;
  /** Permissions and patterns. */
  readonly permissions: readonly string[];
  /** Names or ids of roles. */
  readonly parents: readonly string[];
}

export interface RoleService {
  /** Built-in roles first, then custom ones by name. */
  list(): readonly Role[];
  /** By name or id. Throws `access.not_found`. */
  get(reference: string): Role;
  create(author: Caller, draft: RoleDraft): Promise<Role>;
  /** Replaces everything but the id. What it gives changes at once for everyone who has it. */
  update(author: Caller, reference: string, draft: RoleDraft): Promise<Role>;
  delete(reference: string): Promise<Role>;
}

const DESCRIPTION_LENGTH_MAX = 500;

export function createRoleService({ editor, clock }: { editor: PolicyEditor; clock: Clock }): RoleService {
  return {
    list: () =>
      [...editor.index().roles.values()].toSorted(
        (a, b) => Number(b.builtin) - Number(a.builtin) || (!a.builtin && a.name > b.name ? 1 : -1),
      ),
    get: (reference) => findRole(editor.index(), reference),
    create: (author, draft) =>
      editor.change((index) => {
        const now = clock.now();
        const role = roleOf(index, draft, { id: newId('rol', clock), createdAt: now, updatedAt: now });
        const permissions = rightsAfter(index, role);
        const handover = { permissions, scope: '/', until: null, receivers: [] };
        assertMayHandOver(index, author, [handover], 'role.escalate', now);
        return { changes: [{ kind: 'put_role', role }], result: role };
      }),
    update: (author, reference, draft) =>
      editor.change((index) => {
        const before = findCustomRole(index, reference);
        const now = clock.now();
        const role = roleOf(index, draft, { id: before.id, createdAt: before.createdAt, updatedAt: now });
        assertMayHandOver(index, author, changeOf(index, role), 'role.escalate', now);
        return { changes: [{ kind: 'put_role', role }], result: role };
      }),
    delete: (reference) =>
      editor.change((index) => {
        const role = findCustomRole(index, reference);
        const heir = [...index.roles.values()].find((other) => other.parents.includes(role.id));
        if (heir !== undefined)
          throw accessProblems.role_in_use(`role ${heir.name} inherits from ${role.name}`);
        for (const binding of index.bindings.values()) {
          if (binding.role === role.id)
            throw accessProblems.role_in_use(`binding ${binding.id} gives ${role.name}`);
        }
        return { changes: [{ kind: 'delete_role', id: role.id }], result: role };
      }),
  };
}

/** By id or name. Throws `access.not_found`. */
export function findRole(index: PolicyIndex, reference: string): Role {
  const byId = index.roles.get(reference);
  if (byId !== undefined) return byId;
  for (const role of index.roles.values()) if (role.name === reference) return role;
  throw accessProblems.not_found('there is no role of this name or id');
}

function findCustomRole(index: PolicyIndex, reference: string): Role {
  const role = findRole(index, reference);
  if (role.builtin) throw accessProblems.role_builtin(`${role.name} is built in`);
  return role;
}

function roleOf(
  index: PolicyIndex,
  draft: RoleDraft,
  kept: Pick<Role, 'id' | 'createdAt' | 'updatedAt'>,
): Role {
  assertName(draft.name, 'role');
  if (draft.description.length > DESCRIPTION_LENGTH_MAX) {
    throw accessProblems.invalid(`description is longer than ${DESCRIPTION_LENGTH_MAX} characters`);
  }
  for (const other of index.roles.values()) {
    if (other.name === draft.name && other.id !== kept.id) {
      throw accessProblems.name_taken(`there is a role ${draft.name} already`);
    }
  }
  for (const pattern of draft.permissions) {
    if (permissionsMatching(pattern) === undefined) {
      throw accessProblems.invalid(
        'permissions: each is a permission of the catalogue, `*`, `resource.*` or `*.action`',
      );
    }
  }
  const parents = new Set(draft.parents.map((parent) => findRole(index, parent).id));
  for (const parent of parents) {
    if (lineage(index.roles, parent).has(kept.id)) {
      throw accessProblems.cycle(`role ${draft.name} would inherit from itself`);
    }
  }
  const { name, description } = draft;
  const permissions = [...new Set(draft.permissions)].toSorted();
  return { ...kept, name, description, builtin: false, permissions, parents: [...parents].toSorted() };
}

function rightsAfter(index: PolicyIndex, role: Role): PermissionSet {
  const own = role.permissions.flatMap((pattern) => permissionsMatching(pattern) ?? []);
  return union([...own, ...role.parents.flatMap((parent) => index.rights.get(parent) ?? [])]);
}

/**
 * What an edited role hands on: what it gains, to everyone who has it or an heir; and what it loses, to those whom it
 * was denied.
 */
function changeOf(index: PolicyIndex, role: Role): readonly Handover[] {
  const before = index.rights.get(role.id) ?? permissionSet([]);
  const after = rightsAfter(index, role);
  const gained = difference(after, before);
  const lost = difference(before, after);
  const affected = new Set([...index.roles.keys()].filter((id) => lineage(index.roles, id).has(role.id)));
  const bindings = [...index.bindings.values()].filter((binding) => affected.has(binding.role));
  const holders = bindings.filter((binding) => binding.effect === 'allow').map((binding) => binding.subject);
  return [
    { permissions: gained, scope: '/', until: null, receivers: holders },
    ...bindings
      .filter((binding) => binding.effect === 'deny')
      .map(({ scope, expiresAt, subject }) => ({
        permissions: lost,
        scope,
        until: expiresAt,
        receivers: [subject],
      })),
  ];
}
