import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import type { Caller } from '../kernel/principal.ts';
import { assertMayHandOver, gainsOf, reliefsOf } from './escalation.ts';
import { bindingsAt } from './layout.ts';
import { assertName } from './name.ts';
import type { Group, PolicyChange } from './policy.ts';
import { groupsOf, type PolicyIndex, principalsIn } from './policy-index.ts';
import type { PolicyEditor } from './policy-editor.ts';
import { accessProblems } from './problems.ts';

export interface GroupService {
  /** By name. */
  list(): readonly Group[];
  /** By name or id. Throws `access.not_found`. */
  get(reference: string): Group;
  create(name: string): Promise<Group>;
  /** Deletes the group, its bindings and its memberships; its members stay. */
  delete(author: Caller, reference: string): Promise<Group>;
  /** `member`: id of a user, service account or group that exists. Resolves to false if it was in the group already. */
  addMember(author: Caller, reference: string, member: string): Promise<boolean>;
  /** Resolves to false if it was not in the group. */
  removeMember(author: Caller, reference: string, member: string): Promise<boolean>;
}

export function createGroupService({ editor, clock }: { editor: PolicyEditor; clock: Clock }): GroupService {
  return {
    list: () => [...editor.index().groups.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    get: (reference) => findGroup(editor.index(), reference),
    create: (name) =>
      editor.change((index) => {
        assertName(name, 'group');
        for (const group of index.groups.values()) {
          if (group.name === name) throw accessProblems.name_taken(`there is a group ${name} already`);
        }
        const group = { id: newId('grp', clock), name, createdAt: clock.now() };
        return { changes: [{ kind: 'add_group', group }], result: { ...group, members: new Set<string>() } };
      }),
    delete: (author, reference) =>
      editor.change((index) => {
        const group = findGroup(index, reference);
        const receivers = [...group.members, ...principalsIn(index, group.id)];
        const now = clock.now();
        assertMayHandOver(index, author, reliefsOf(index, group.id, receivers, now), 'role.bind', now);
        const changes = [...withdrawal(index, group.id), { kind: 'delete_group', id: group.id } as const];
        return { changes, result: group };
      }),
    addMember: (author, reference, member) =>
      editor.change((index) => {
        const group = findGroup(index, reference);
        if (group.members.has(member)) return { changes: [], result: false };
        if (member === group.id || groupsOf(index, group.id).includes(member)) {
          throw accessProblems.cycle(`group ${group.name} would contain itself`);
        }
        const now = clock.now();
        assertMayHandOver(index, author, gainsOf(index, group.id, [member], now), 'role.bind', now);
        return { changes: [{ kind: 'add_member', group: group.id, member }], result: true };
      }),
    removeMember: (author, reference, member) =>
      editor.change((index) => {
        const group = findGroup(index, reference);
        if (!group.members.has(member)) return { changes: [], result: false };
        const now = clock.now();
        assertMayHandOver(index, author, reliefsOf(index, group.id, [member], now), 'role.bind', now);
        return { changes: [{ kind: 'remove_member', group: group.id, member }], result: true };
      }),
  };
}

/** By id or name. Throws `access.not_found`. */
export function findGroup(index: PolicyIndex, reference: string): Group {
  const byId = index.groups.get(reference);
  if (byId !== undefined) return byId;
  for (const group of index.groups.values()) if (group.name === reference) return group;
  throw accessProblems.not_found('there is no group of this name or id');
}

/** Takes a user, service account or group out of every group, with all its bindings. */
export function withdrawal(index: PolicyIndex, subject: string): readonly PolicyChange[] {
  const memberships = [...index.groups.values()].filter((group) => group.members.has(subject));
  return [
    ...memberships.map((group) => ({ kind: 'remove_member', group: group.id, member: subject }) as const),
    ...bindingsAt(index.layout, subject).map(({ id }) => ({ kind: 'delete_binding', id }) as const),
  ];
}
