import type { DecisionCode } from './decide.ts';
import type { Explanation, NearMiss } from './explain.ts';
import { permissionsIn, permissionsMatching, union } from './catalogue.ts';
import type { Binding, Group, Role } from './policy.ts';
import type { Holder } from './search.ts';
import type { AccessControl } from './service.ts';

const GRANTORS_MAX = 20;

/** What the access routes answer, with names beside ids. */
export function createAccessViews(access: AccessControl) {
  const roleName = (id: string): string => access.roles.get(id).name;

  /** An id whose bearer was deleted meanwhile stands for itself. */
  async function subject(id: string): Promise<{ id: string; kind: string; name?: string }> {
    const found = await access.subject(id).catch(() => undefined);
    if (found === undefined) return { id, kind: 'unknown' };
    return { id, kind: found.kind, name: found.name };
  }

  async function reference(id: string): Promise<string> {
    const { kind, name } = await subject(id);
    return name === undefined ? id : `${kind.replace('_', '-')}:${name}`;
  }

  const group = ({ id, name, createdAt, members }: Group) => {
    return { id, name, createdAt: iso(createdAt), memberCount: members.size };
  };

  function permissionsOf(role: Role): readonly string[] {
    const own = role.permissions.flatMap((pattern) => permissionsMatching(pattern) ?? []);
    const inherited = role.parents.map((parent) => new Set(permissionsOf(access.roles.get(parent))));
    const all = new Set([...permissionsIn(union(own)), ...inherited.flatMap((set) => [...set])]);
    return [...all].toSorted();
  }

  return {
    group,
    groupWithMembers: async (one: Group) => ({
      ...group(one),
      members: await Promise.all([...one.members].toSorted().map(subject)),
    }),
    role: (role: Role) => ({
      id: role.id,
      name: role.name,
      description: role.description,
      builtIn: role.builtin,
      permissions: role.permissions,
      parents: role.parents.map(roleName),
      effective: permissionsOf(role),
    }),
    roleFacts: (role: Role) => ({
      name: role.name,
      permissions: role.permissions.join(' '),
      parents: role.parents.join(' '),
    }),
    binding: async (binding: Binding) => ({
      id: binding.id,
      subject: await reference(binding.subject),
      subjectId: binding.subject,
      role: roleName(binding.role),
      scope: binding.scope,
      effect: binding.effect,
      notBefore: binding.notBefore === null ? null : iso(binding.notBefore),
      expiresAt: binding.expiresAt === null ? null : iso(binding.expiresAt),
      reason: binding.reason,
      createdBy: binding.createdBy,
      createdAt: iso(binding.createdAt),
    }),
    bindingFacts: ({ id, subject, role, effect }: Binding) => ({ binding: id, subject, role, effect }),
    explanation: async (
      { decision, matched, nearMisses }: Explanation,
      { permission, scope, grantors }: { permission: string; scope: string; grantors: readonly string[] },
    ) => ({
      allowed: decision.allow,
      code: decision.code,
      reason: describeCode(decision.code, permission, scope),
      revision: decision.revision,
      matched: await Promise.all(
        matched.map(async (match) => ({
          ...match,
          role: roleName(match.role),
          via: await reference(match.via),
        })),
      ),
      nearMisses: nearMisses.map((miss) => ({ kind: miss.kind, hint: hintOf(miss, roleName) })),
      grantors: await Promise.all(grantors.slice(0, GRANTORS_MAX).map(subject)),
    }),
    holders: (holders: readonly Holder[]) =>
      Promise.all(holders.map(async ({ id, bindings }) => ({ ...(await subject(id)), bindings }))),
  };
}

/** One sentence for people; the code is for programs. */
export function describeCode(code: DecisionCode, permission: string, scope: string): string {
  const asked = `${permission}@${scope}`;
  const sentences: Readonly<Record<DecisionCode, string>> = {
    allowed: `a binding gives ${asked}`,
    local_owner: "the keep's own host may do everything",
    no_matching_binding: `no binding gives ${asked}`,
    explicit_deny: `a binding denies ${asked}`,
    credential_scope: `the API key's scopes do not include ${asked}`,
    expired_binding: `the binding that gave ${asked} has expired`,
    pending_binding: `the binding that gives ${asked} is not in force yet`,
    subject_disabled: 'the account is disabled',
    unknown_permission: `${permission} is no permission of the catalogue`,
    unknown_resource: `${scope} is no node of the resource tree`,
  };
  return sentences[code];
}

function hintOf(miss: NearMiss, roleName: (id: string) => string): string {
  if (miss.kind === 'credential_scope') return 'the owner of the API key may; the key was made for less';
  const role = `role ${roleName(miss.role)}`;
  if (miss.kind === 'other_scope')
    return `${role} would give it, but is bound on ${miss.scope} (${miss.binding})`;
  if (miss.kind === 'expired')
    return `${role} on ${miss.scope} gave it until ${iso(miss.expiredAt)} (${miss.binding})`;
  return `${role} on ${miss.scope} gives it from ${iso(miss.startsAt)} (${miss.binding})`;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
