import * as fc from 'fast-check';
import type { Binding, Group, Policy, Role } from '../../src/access/policy.ts';

/** Small worlds, so that random requests often hit what random bindings speak about. */
export const PRINCIPALS = ['usr_a', 'usr_b', 'sa_c', 'usr_d'] as const;
export const GROUPS = ['grp_1', 'grp_2', 'grp_3', 'grp_4'] as const;
export const RESOURCES = [
  '/',
  '/projects',
  '/projects/fraud',
  '/projects/fraud/models/score',
  '/projects/fraud/models/score/versions/1',
  '/projects/fraud/models/scored',
  '/projects/churn/models/score',
  '/users/usr_a',
  '/audit',
] as const;
export const ASKED = [
  'model.read',
  'model.invoke',
  'model.download',
  'version.read',
  'audit.read',
  'audit.export',
  'user.delete',
  'role.bind',
] as const;
export const NOW = 1_000;

const PATTERNS = ['*', 'model.*', '*.read', 'audit.*', ...ASKED];
const ROLES = ['rol_0', 'rol_1', 'rol_2', 'rol_3'] as const;
const SCOPES = [
  ...RESOURCES,
  '/projects/*',
  '/projects/*/models/score',
  '/*',
  '/projects/fraud/models/*/versions/1',
  '/*/*',
];

/** Roles inherit from roles of a smaller number, so there is no circle; groups may nest in any way, circles included. */
export function policies({ timed = true, wildcards = true, nested = true } = {}): fc.Arbitrary<Policy> {
  const roles = fc.tuple(...ROLES.map((id, at) => roleArbitrary(id, ROLES.slice(0, at))));
  const groups = fc.tuple(
    ...GROUPS.map((id, at) => {
      const inner = nested ? GROUPS.filter((other) => other !== id) : GROUPS.slice(at + 1);
      return fc
        .subarray([...PRINCIPALS, ...inner], { maxLength: 3 })
        .map(
          (members): Group => ({ id, name: id.replace('_', '-'), createdAt: 0, members: new Set(members) }),
        );
    }),
  );
  const scopes = wildcards ? SCOPES : RESOURCES;
  const bindings = fc.array(bindingArbitrary(scopes, timed), { maxLength: 14 });
  return fc.record({ roles, groups, bindings }).map((policy) => ({
    ...policy,
    revision: 1,
    bindings: policy.bindings.map((binding, at) => ({ ...binding, id: `bnd_${at}` })),
  }));
}

export function bindingArbitrary(scopes: readonly string[] = SCOPES, timed = true): fc.Arbitrary<Binding> {
  const times = timed ? fc.constantFrom(null, null, null, NOW - 1, NOW, NOW + 1) : fc.constant(null);
  return fc.record({
    id: fc.constant('bnd_new'),
    subject: fc.constantFrom(...PRINCIPALS, ...GROUPS),
    role: fc.constantFrom(...ROLES, 'viewer', 'admin'),
    scope: fc.constantFrom(...scopes),
    effect: fc.constantFrom('allow', 'allow', 'allow', 'deny'),
    notBefore: times,
    expiresAt: times,
    reason: fc.constant(''),
    createdBy: fc.constant('usr_a'),
    createdAt: fc.constant(0),
  });
}

function roleArbitrary(id: string, parents: readonly string[]): fc.Arbitrary<Role> {
  return fc.record({
    id: fc.constant(id),
    name: fc.constant(id.replace('_', '-')),
    description: fc.constant(''),
    builtin: fc.constant(false),
    permissions: fc.subarray(PATTERNS, { maxLength: 3 }),
    parents: fc.subarray([...parents]),
    createdAt: fc.constant(0),
    updatedAt: fc.constant(0),
  });
}
