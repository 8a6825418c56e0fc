import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as cedar from '@cedar-policy/cedar-wasm/nodejs';
import * as fc from 'fast-check';
import { permissionsIn } from '../../src/access/catalogue.ts';
import { decide } from '../../src/access/decide.ts';
import type { Policy } from '../../src/access/policy.ts';
import { createPolicyIndex, type PolicyIndex } from '../../src/access/policy-index.ts';
import { ancestors } from '../../src/access/scope.ts';
import { ASKED, NOW, policies, PRINCIPALS, RESOURCES } from './random-policy.ts';

// Cedar has no wildcard nodes, and times would need a context; its entity graph must have no circles. Everything else
// is its own: group and resource hierarchies, forbid over permit, deny by default.
const worlds = policies({ timed: false, wildcards: false, nested: false });

test('decides as Cedar does, groups, the resource tree and denials included', () => {
  const outcomes = { allow: 0, deny: 0, overridden: 0 };
  let policySet = 0;
  fc.assert(
    fc.property(worlds, fc.infiniteStream(fc.nat()), (policy, choices) => {
      const index = createPolicyIndex(policy);
      const id = `random-${policySet++}`;
      const parsed = cedar.preparsePolicySet(id, { staticPolicies: toCedar(policy, index) });
      assert.equal(parsed.type, 'success', JSON.stringify(parsed));
      const entities = entitiesOf(policy);
      for (const { principal, permission, resource } of sample(choices, 30)) {
        const answer = cedar.statefulIsAuthorized({
          principal: { type: 'Principal', id: principal },
          action: { type: 'Action', id: permission },
          resource: { type: 'Node', id: resource },
          context: {},
          preparsedPolicySetId: id,
          entities,
        });
        assert.equal(answer.type, 'success', JSON.stringify(answer));
        if (answer.type !== 'success') return;
        assert.deepEqual(answer.response.diagnostics.errors, []);
        const request = {
          principal: { kind: 'user', id: principal } as const,
          credential: {},
          permission,
          resource,
        };
        const ours = decide(index, { ...request, now: NOW });
        const theirs = answer.response.decision;
        assert.equal(
          ours.allow,
          theirs === 'allow',
          `${principal} ${permission}@${resource} is ${ours.code}`,
        );
        outcomes[theirs]++;
        if (ours.code === 'explicit_deny') outcomes.overridden++;
      }
    }),
    { numRuns: 120 },
  );
  for (const [outcome, count] of Object.entries(outcomes))
    assert.ok(count > 20, `${outcome} was seen ${count} times`);
});

function toCedar(policy: Policy, index: PolicyIndex): string {
  return policy.bindings
    .map(({ subject, role, scope, effect }) => {
      const rights = permissionsIn(index.rights.get(role) ?? assert.fail());
      const actions = rights.map((permission) => `Action::"${permission}"`).join(', ');
      const type = subject.startsWith('grp_') ? 'Group' : 'Principal';
      const head = effect === 'allow' ? 'permit' : 'forbid';
      return `${head}(principal in ${type}::"${subject}", action in [${actions}], resource in Node::"${scope}");`;
    })
    .join('\n');
}

function entitiesOf(policy: Policy): cedar.Entities {
  const groupsAround = (id: string) =>
    policy.groups.filter(({ members }) => members.has(id)).map((group) => ({ type: 'Group', id: group.id }));
  const nodes = new Set(RESOURCES.flatMap(ancestors));
  return [
    ...PRINCIPALS.map((id) => ({ uid: { type: 'Principal', id }, attrs: {}, parents: groupsAround(id) })),
    ...policy.groups.map(({ id }) => ({ uid: { type: 'Group', id }, attrs: {}, parents: groupsAround(id) })),
    ...[...nodes].map((id) => {
      const above = ancestors(id).at(-2);
      return {
        uid: { type: 'Node', id },
        attrs: {},
        parents: above === undefined ? [] : [{ type: 'Node', id: above }],
      };
    }),
  ];
}

function sample(choices: Iterable<number>, count: number) {
  const picked: { principal: string; permission: string; resource: string }[] = [];
  const next = choices[Symbol.iterator]();
  const of = <T>(list: readonly T[]): T => list[Number(next.next().value) % list.length] as T;
  while (picked.length < count) {
    picked.push({ principal: of(PRINCIPALS), permission: of(ASKED), resource: of(RESOURCES) });
  }
  return picked;
}
