import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newEnforcer, newModelFromString, StringAdapter } from 'casbin';
import * as fc from 'fast-check';
import { permissionsIn } from '../../src/access/catalogue.ts';
import { decide } from '../../src/access/decide.ts';
import type { Policy } from '../../src/access/policy.ts';
import { createPolicyIndex, type PolicyIndex } from '../../src/access/policy-index.ts';
import { ancestors } from '../../src/access/scope.ts';
import { ASKED, NOW, policies, PRINCIPALS, RESOURCES } from './random-policy.ts';

const MODEL = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act, eft
[role_definition]
g = _, _
g2 = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.act == p.act && g(r.sub, p.sub) && g2(r.obj, p.obj)
`;

// casbin, too, knows neither wildcard nodes nor times here; a binding becomes one rule for each permission of its role.
const worlds = policies({ timed: false, wildcards: false, nested: false });

test('decides as casbin does with "some allow and no deny"', async () => {
  const outcomes = { allow: 0, deny: 0, overridden: 0 };
  await fc.assert(
    fc.asyncProperty(
      worlds,
      fc.array(fc.nat(), { minLength: 60, maxLength: 60 }),
      async (policy, choices) => {
        const index = createPolicyIndex(policy);
        const enforcer = await newEnforcer(
          newModelFromString(MODEL),
          new StringAdapter(rulesOf(policy, index)),
        );
        for (let at = 0; at + 2 < choices.length; at += 3) {
          const of = <T>(list: readonly T[], offset: number): T =>
            list[(choices[at + offset] ?? 0) % list.length] as T;
          const [principal, permission, resource] = [of(PRINCIPALS, 0), of(ASKED, 1), of(RESOURCES, 2)];
          const theirs = enforcer.enforceSync(principal, resource, permission);
          const request = {
            principal: { kind: 'user', id: principal } as const,
            credential: {},
            permission,
            resource,
          };
          const ours = decide(index, { ...request, now: NOW });
          assert.equal(ours.allow, theirs, `${principal} ${permission}@${resource} is ${ours.code}`);
          outcomes[theirs ? 'allow' : 'deny']++;
          if (ours.code === 'explicit_deny') outcomes.overridden++;
        }
      },
    ),
    { numRuns: 100 },
  );
  for (const [outcome, count] of Object.entries(outcomes))
    assert.ok(count > 10, `${outcome} was seen ${count} times`);
});

function rulesOf(policy: Policy, index: PolicyIndex): string {
  const asked: ReadonlySet<string> = new Set(ASKED);
  const rules = policy.bindings.flatMap(({ subject, role, scope, effect }) =>
    permissionsIn(index.rights.get(role) ?? assert.fail())
      .filter((permission) => asked.has(permission))
      .map((permission) => `p, ${subject}, ${scope}, ${permission}, ${effect}`),
  );
  const members = policy.groups.flatMap(({ id, members }) =>
    [...members].map((member) => `g, ${member}, ${id}`),
  );
  const tree = [...new Set(RESOURCES.flatMap(ancestors))].flatMap((node) => {
    const above = ancestors(node).at(-2);
    return above === undefined ? [] : [`g2, ${node}, ${above}`];
  });
  // A rule that nothing asks for: casbin's adapter refuses an empty policy.
  return ['p, nobody, nowhere, nothing, allow', ...rules, ...members, ...tree].join('\n');
}
