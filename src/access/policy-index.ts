import { PERMISSION_WORDS, type PermissionSet, permissionsMatching, union } from './catalogue.ts';
import { bindingsAt, createLayout, type Layout, type LayoutWriter } from './layout.ts';
import type { Binding, Group, Policy, PolicyChange, Role } from './policy.ts';
import { accessProblems } from './problems.ts';
import { BUILTIN_ROLES } from './roles.ts';

/**
 * The policy, laid out for deciding. A change rewrites the block of one subject; there is no cache of decisions, so a
 * revoked right is gone with the next decision. Readers must not hold on to parts of it across a change.
 */
export interface PolicyIndex {
  readonly revision: number;
  /** Built-in and custom roles, by id. */
  readonly roles: ReadonlyMap<string, Role>;
  readonly groups: ReadonlyMap<string, Group>;
  readonly bindings: ReadonlyMap<string, Binding>;
  readonly layout: Layout;
  /** For a user, service account or group: the groups it is in, nested ones included, itself excluded. */
  readonly memberships: ReadonlyMap<string, readonly string[]>;
  /** What each role gives, parents included. */
  readonly rights: ReadonlyMap<string, PermissionSet>;
  /** The same as one table: word `w` of role number `r` stands at `r * PERMISSION_WORDS + w`. */
  readonly rightsTable: Int32Array;
}

interface MutableIndex extends PolicyIndex {
  revision: number;
  readonly roles: Map<string, Role>;
  readonly groups: Map<string, Group & { readonly members: Set<string> }>;
  readonly bindings: Map<string, Binding>;
  readonly writer: LayoutWriter;
  readonly memberships: Map<string, readonly string[]>;
  rights: ReadonlyMap<string, PermissionSet>;
  rightsTable: Int32Array;
  readonly roleNumbers: Map<string, number>;
}

/** Builds the index. Throws `access.policy_corrupt` on a policy that no change could have made. */
export function createPolicyIndex(policy: Policy): PolicyIndex {
  const roles = new Map([...BUILTIN_ROLES, ...policy.roles].map((role) => [role.id, role]));
  const roleNumbers = new Map([...roles.keys()].map((id, number) => [id, number]));
  const bindings = new Map<string, Binding>();
  for (const binding of policy.bindings) bindings.set(binding.id, binding);
  const writer = createLayout(policy.bindings, (role) =>
    roles.has(role) ? roleNumbers.get(role) : undefined,
  );
  const index: MutableIndex = {
    revision: policy.revision,
    roles,
    groups: new Map(policy.groups.map((group) => [group.id, { ...group, members: new Set(group.members) }])),
    bindings,
    layout: writer.layout,
    writer,
    memberships: new Map(),
    rights: new Map(),
    rightsTable: new Int32Array(0),
    roleNumbers,
  };
  compileRoles(index);
  flattenGroups(index);
  return index;
}

/** Brings an index made by `createPolicyIndex` to `revision` by changes that the store has accepted. */
export function applyChanges(index: PolicyIndex, changes: readonly PolicyChange[], revision: number): void {
  const mutable = index as MutableIndex;
  let rolesChanged = false;
  let nestingChanged = false;
  for (const change of changes) {
    switch (change.kind) {
      case 'put_role':
        mutable.roles.set(change.role.id, change.role);
        rolesChanged = true;
        break;
      case 'delete_role':
        mutable.roles.delete(change.id);
        rolesChanged = true;
        break;
      case 'add_group':
        mutable.groups.set(change.group.id, { ...change.group, members: new Set() });
        break;
      case 'delete_group':
        mutable.groups.delete(change.id);
        nestingChanged = true;
        break;
      case 'add_member':
        mutable.groups.get(change.group)?.members.add(change.member);
        nestingChanged ||= mutable.groups.has(change.member);
        break;
      case 'remove_member':
        mutable.groups.get(change.group)?.members.delete(change.member);
        nestingChanged ||= mutable.groups.has(change.member);
        break;
      case 'add_binding':
      case 'delete_binding':
        break;
    }
  }
  if (rolesChanged) compileRoles(mutable);
  if (nestingChanged) flattenGroups(mutable);
  for (const change of changes) {
    if (change.kind === 'add_member' || change.kind === 'remove_member') {
      flattenMember(mutable, change.member);
    } else if (change.kind === 'add_binding') {
      const { binding } = change;
      mutable.bindings.set(binding.id, binding);
      mutable.writer.write(binding.subject, [...bindingsAt(index.layout, binding.subject), binding]);
    } else if (change.kind === 'delete_binding') {
      const gone = mutable.bindings.get(change.id);
      if (gone === undefined) continue;
      mutable.bindings.delete(change.id);
      const rest = bindingsAt(index.layout, gone.subject).filter(({ id }) => id !== gone.id);
      mutable.writer.write(gone.subject, rest);
    }
  }
  mutable.revision = revision;
}

/** Ids of the groups that a principal or group is in, nested ones included. */
export function groupsOf(index: PolicyIndex, id: string): readonly string[] {
  return index.memberships.get(id) ?? NO_GROUPS;
}

/** Ids of the users and service accounts in a group or in groups inside it. */
export function principalsIn(index: PolicyIndex, groupId: string): ReadonlySet<string> {
  const seen = new Set([groupId]);
  const principals = new Set<string>();
  for (const id of seen) {
    for (const member of index.groups.get(id)?.members ?? []) {
      (index.groups.has(member) ? seen : principals).add(member);
    }
  }
  return principals;
}

/** The roles that a role inherits from, however many steps away, itself included. */
export function lineage(roles: ReadonlyMap<string, Pick<Role, 'parents'>>, id: string): ReadonlySet<string> {
  const seen = new Set([id]);
  for (const role of seen) for (const parent of roles.get(role)?.parents ?? []) seen.add(parent);
  return seen;
}

const NO_GROUPS: readonly string[] = [];

function compileRoles(index: MutableIndex): void {
  const own = new Map<string, PermissionSet>();
  for (const role of index.roles.values()) {
    own.set(role.id, union(role.permissions.map((pattern) => patternOf(role, pattern))));
  }
  const rights = new Map<string, PermissionSet>();
  for (const role of index.roles.values()) {
    const sources = [...lineage(index.roles, role.id)].map((id) => {
      const permissions = own.get(id);
      if (permissions === undefined)
        throw accessProblems.policy_corrupt(`role ${role.id} inherits from ${id}, which is gone`);
      return permissions;
    });
    rights.set(role.id, union(sources));
    if (!index.roleNumbers.has(role.id)) index.roleNumbers.set(role.id, index.roleNumbers.size);
  }
  const table = new Int32Array(index.roleNumbers.size * PERMISSION_WORDS);
  for (const [id, set] of rights) table.set(set, (index.roleNumbers.get(id) ?? 0) * PERMISSION_WORDS);
  index.rights = rights;
  index.rightsTable = table;
}

function patternOf(role: Role, pattern: string): PermissionSet {
  const set = permissionsMatching(pattern);
  if (set === undefined)
    throw accessProblems.policy_corrupt(`role ${role.id} names "${pattern}", which is no permission`);
  return set;
}

function flattenGroups(index: MutableIndex): void {
  const direct = new Map<string, string[]>();
  for (const group of index.groups.values()) {
    for (const member of group.members) {
      const groups = direct.get(member);
      if (groups === undefined) direct.set(member, [group.id]);
      else groups.push(group.id);
    }
  }
  index.memberships.clear();
  for (const [member, groups] of direct) {
    const all = new Set(groups);
    for (const group of all) for (const outer of direct.get(group) ?? []) all.add(outer);
    all.delete(member);
    index.memberships.set(member, [...all]);
  }
}

/** For a user or service account: the nesting of groups has not changed, so its direct groups bring their own. */
function flattenMember(index: MutableIndex, member: string): void {
  if (index.groups.has(member)) return;
  const all = new Set<string>();
  for (const group of index.groups.values()) {
    if (!group.members.has(member)) continue;
    all.add(group.id);
    for (const outer of groupsOf(index, group.id)) all.add(outer);
  }
  if (all.size === 0) index.memberships.delete(member);
  else index.memberships.set(member, [...all]);
}
