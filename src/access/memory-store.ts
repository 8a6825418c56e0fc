import type { Binding, Group, PolicyChange, Role } from './policy.ts';
import { accessProblems } from './problems.ts';
import type { AccessStore } from './store.ts';

/** The double for tests of this and other rooms: what is applied is gone with the process. */
export function createMemoryStore(): AccessStore {
  const roles = new Map<string, Role>();
  const groups = new Map<string, Group & { readonly members: Set<string> }>();
  const bindings = new Map<string, Binding>();
  let revision = 1;

  function step(change: PolicyChange): void {
    switch (change.kind) {
      case 'put_role':
        roles.set(change.role.id, change.role);
        break;
      case 'delete_role':
        roles.delete(change.id);
        break;
      case 'add_group':
        groups.set(change.group.id, { ...change.group, members: new Set() });
        break;
      case 'delete_group':
        groups.delete(change.id);
        break;
      case 'add_member':
        groups.get(change.group)?.members.add(change.member);
        break;
      case 'remove_member':
        groups.get(change.group)?.members.delete(change.member);
        break;
      case 'add_binding':
        bindings.set(change.binding.id, change.binding);
        break;
      case 'delete_binding':
        bindings.delete(change.id);
        break;
    }
  }

  return {
    load: async () => ({
      revision,
      roles: inOrder(roles),
      groups: inOrder(groups).map((group) => ({ ...group, members: new Set([...group.members].toSorted()) })),
      bindings: inOrder(bindings),
    }),
    revision: async () => revision,
    apply: async (expected, changes) => {
      if (revision !== expected)
        throw accessProblems.conflict(`the policy is at revision ${revision}, not ${expected}`);
      for (const change of changes) step(change);
      return ++revision;
    },
  };
}

function inOrder<T extends { readonly id: string }>(rows: ReadonlyMap<string, T>): readonly T[] {
  return [...rows.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
}
