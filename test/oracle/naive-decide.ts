import { isSensitive, PERMISSIONS, type Permission } from '../../src/access/catalogue.ts';
import type { Binding, Policy } from '../../src/access/policy.ts';
import { BUILTIN_ROLES } from '../../src/access/roles.ts';
import type { Grant } from '../../src/kernel/principal.ts';

/** What a decision means, written for reading and not for speed: sets, recursion, and nothing prepared. */
export interface NaiveRequest {
  readonly principal: string;
  readonly scopes?: readonly Grant[];
  readonly permission: string;
  readonly resource: string;
  readonly now: number;
}

export function naiveDecide(policy: Policy, request: NaiveRequest): 'allow' | 'deny' | 'none' {
  const { principal, scopes, permission, resource, now } = request;
  if (scopes !== undefined) {
    const reached = scopes.some((grant) => {
      return naiveExpand(grant.permission).has(permission) && naiveCovers(grant.scope, resource);
    });
    if (!reached) return 'none';
  }
  const subjects = naiveSubjects(policy, principal);
  const inForce = policy.bindings.filter((binding) => {
    return (
      subjects.has(binding.subject) &&
      (binding.notBefore === null || now >= binding.notBefore) &&
      (binding.expiresAt === null || now < binding.expiresAt) &&
      naiveCovers(binding.scope, resource) &&
      naiveRights(policy, binding.role).has(permission)
    );
  });
  const effects = new Set(inForce.map((binding: Binding) => binding.effect));
  if (effects.has('deny')) return 'deny';
  return effects.has('allow') ? 'allow' : 'none';
}

/** The principal and every group that holds it, by asking each group again until nothing is new. */
export function naiveSubjects(policy: Policy, principal: string): ReadonlySet<string> {
  const subjects = new Set([principal]);
  for (let before = 0; before !== subjects.size; ) {
    before = subjects.size;
    for (const group of policy.groups) {
      if ([...group.members].some((member) => subjects.has(member))) subjects.add(group.id);
    }
  }
  return subjects;
}

export function naiveRights(policy: Policy, role: string): ReadonlySet<string> {
  const found = [...BUILTIN_ROLES, ...policy.roles].find((candidate) => candidate.id === role);
  if (found === undefined) throw new Error(`no role ${role}`);
  const own = found.permissions.flatMap((pattern) => [...naiveExpand(pattern)]);
  return new Set([...own, ...found.parents.flatMap((parent) => [...naiveRights(policy, parent)])]);
}

function naiveExpand(pattern: string): ReadonlySet<string> {
  return new Set(
    PERMISSIONS.filter((permission: Permission) => {
      if (permission === pattern) return true;
      if (isSensitive(permission)) return false;
      const [resource, action] = permission.split('.');
      return pattern === '*' || pattern === `${resource}.*` || pattern === `*.${action}`;
    }),
  );
}

export function naiveCovers(scope: string, resource: string): boolean {
  if (scope === '/') return true;
  const outer = scope.split('/').slice(1);
  const inner = resource === '/' ? [] : resource.split('/').slice(1);
  return (
    outer.length <= inner.length && outer.every((segment, at) => segment === '*' || segment === inner[at])
  );
}
