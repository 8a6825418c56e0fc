import { PERMISSION_WORDS, type PermissionSet, permissionsMatching, union } from './catalogue.ts';
import type { Binding, Group, Policy, PolicyChange, Role } from './policy.ts';
import { accessProblems } from './problems.ts';
import { BUILTIN_ROLES } from './roles.ts';
import { ancestors, hasWildcard, parseScope } from './scope.ts';

/**
 * The policy, laid out for deciding. A change rewrites the slice of one subject; there is no cache of decisions, so a
 * revoked right is gone with the next decision. Readers must not hold on to parts of it across a change.
 */
export interface PolicyIndex {
  readonly revision: number;
  /** Built-in and custom roles, by id. */
  readonly roles: ReadonlyMap<string, Role>;
  readonly groups: ReadonlyMap<string, Group>;
  readonly bindings: ReadonlyMap<string, Binding>;
  /** The bindings of each subject that has any. */
  readonly slices: ReadonlyMap<string, Slice>;
  /** For a user, service account or group: the groups it is in, nested ones included, itself excluded. */
  readonly memberships: ReadonlyMap<string, readonly string[]>;
  /** What each role gives, parents included. */
  readonly rights: ReadonlyMap<string, PermissionSet>;
  /** The same as one table: word `w` of role number `r` stands at `r * PERMISSION_WORDS + w`. */
  readonly rightsTable: Int32Array;
  /** Every node that a binding without wildcard names, and those above it: depth << 28 | number. The root is 0. */
  readonly nodes: ReadonlyMap<string, number>;
  /** By node number: the node above it. */
  readonly parents: readonly number[];
}

/** One subject's bindings: first those on a node, then those with a wildcard. */
export interface Slice {
  readonly bindings: readonly Binding[];
  readonly exact: number;
  /** The nodes of the `exact` first bindings, then as many role words: flags and the role's number. */
  readonly words: Int32Array;
  /** The role words of the bindings with a wildcard. */
  readonly wild: readonly number[];
}

export const DEPTH_SHIFT = 28;
export const NODE_MASK = (1 << DEPTH_SHIFT) - 1;
/** Flags of a role word. `TIMED`: look at the binding's times. */
export const DENY = 1 << 30;
export const TIMED = 1 << 29;
export const ROLE_MASK = TIMED - 1;

interface MutableIndex extends PolicyIndex {
  revision: number;
  readonly roles: Map<string, Role>;
  readonly groups: Map<string, Group & { readonly members: Set<string> }>;
  readonly bindings: Map<string, Binding>;
  readonly slices: Map<string, Slice>;
  readonly memberships: Map<string, readonly string[]>;
  rights: ReadonlyMap<string, PermissionSet>;
  rightsTable: Int32Array;
  readonly roleNumbers: Map<string, number>;
  readonly nodes: Map<string, number>;
  readonly parents: number[];
}

/** Builds the index. Throws `access.policy_corrupt` on a policy that no change could have made. */
export function createPolicyIndex(policy: Policy): PolicyIndex {
  const index: MutableIndex = {
    revision: policy.revision,
    roles: new Map([...BUILTIN_ROLES, ...policy.roles].map((role) => [role.id, role])),
    groups: new Map(policy.groups.map((group) => [group.id, { ...group, members: new Set(group.members) }])),
    bindings: new Map(policy.bindings.map((binding) => [binding.id, binding])),
    slices: new Map(),
    memberships: new Map(),
    rights: new Map(),
    rightsTable: new Int32Array(0),
    roleNumbers: new Map(),
    nodes: new Map([['/', 0]]),
    parents: [0],
  };
  compileRoles(index);
  flattenGroups(index);
  const bySubject = new Map<string, Binding[]>();
  for (const binding of policy.bindings) {
    const own = bySubject.get(binding.subject);
    if (own === undefined) bySubject.set(binding.subject, [binding]);
    else own.push(binding);
  }
  for (const [subject, bindings] of bySubject) index.slices.set(subject, pack(index, bindings));
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
        mutable.bindings.set(change.binding.id, change.binding);
        break;
      case 'delete_binding':
        break;
    }
  }
  if (rolesChanged) compileRoles(mutable);
  if (nestingChanged) flattenGroups(mutable);
  for (const change of changes) {
    if (change.kind === 'add_member' || change.kind === 'remove_member')
      flattenMember(mutable, change.member);
    if (change.kind === 'add_binding')
      repack(mutable, change.binding.subject, change.binding.id, change.binding);
    if (change.kind === 'delete_binding') {
      const subject = mutable.bindings.get(change.id)?.subject;
      mutable.bindings.delete(change.id);
      if (subject !== undefined) repack(mutable, subject, change.id);
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

function repack(index: MutableIndex, subject: string, id: string, added?: Binding): void {
  const rest = (index.slices.get(subject)?.bindings ?? []).filter((binding) => binding.id !== id);
  const bindings = added === undefined ? rest : [...rest, added];
  if (bindings.length === 0) index.slices.delete(subject);
  else index.slices.set(subject, pack(index, bindings));
}

function pack(index: MutableIndex, bindings: readonly Binding[]): Slice {
  const exact = bindings.filter((binding) => !hasWildcard(binding.scope));
  const wild = bindings.filter((binding) => hasWildcard(binding.scope));
  const words = new Int32Array(exact.length * 2);
  for (const [at, binding] of exact.entries()) {
    words[at] = nodeOf(index, binding);
    words[exact.length + at] = roleWord(index, binding);
  }
  return {
    bindings: wild.length === 0 ? exact : [...exact, ...wild],
    exact: exact.length,
    words,
    wild: wild.map((binding) => roleWord(index, checked(binding))),
  };
}

function roleWord(index: MutableIndex, binding: Binding): number {
  const role = index.roles.has(binding.role) ? index.roleNumbers.get(binding.role) : undefined;
  if (role === undefined)
    throw accessProblems.policy_corrupt(
      `binding ${binding.id} names the role ${binding.role}, which is gone`,
    );
  const timed = binding.notBefore !== null || binding.expiresAt !== null;
  return role | (binding.effect === 'deny' ? DENY : 0) | (timed ? TIMED : 0);
}

function nodeOf(index: MutableIndex, binding: Binding): number {
  const known = index.nodes.get(binding.scope);
  if (known !== undefined) return known;
  let above = 0;
  for (const [depth, path] of ancestors(checked(binding).scope).entries()) {
    let node = index.nodes.get(path);
    if (node === undefined) {
      node = (depth << DEPTH_SHIFT) | index.parents.length;
      index.nodes.set(path, node);
      index.parents.push(above);
    }
    above = node;
  }
  return above;
}

function checked(binding: Binding): Binding {
  if (parseScope(binding.scope) !== undefined) return binding;
  throw accessProblems.policy_corrupt(
    `binding ${binding.id} has the scope "${binding.scope}", which is none`,
  );
}
