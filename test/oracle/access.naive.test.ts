import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { decide } from '../../src/access/decide.ts';
import { holdingOf, lacking } from '../../src/access/holding.ts';
import type { Policy, PolicyChange } from '../../src/access/policy.ts';
import {
  applyChanges,
  createPolicyIndex,
  groupsOf,
  type PolicyIndex,
} from '../../src/access/policy-index.ts';
import { whoCan } from '../../src/access/search.ts';
import { naiveDecide, naiveSubjects } from './naive-decide.ts';
import { ASKED, bindingArbitrary, GROUPS, NOW, policies, PRINCIPALS, RESOURCES } from './random-policy.ts';

const RUNS = 150;
const scopesOfKey = fc.array(
  fc.record({
    permission: fc.constantFrom('*', 'model.*', '*.read', 'model.invoke', 'model.download'),
    scope: fc.constantFrom('/', '/projects/fraud', '/projects/*/models/score', '/audit', '../x'),
  }),
  { maxLength: 2 },
);

test('the fast decision is the naive one on every question about random policies', () => {
  const outcomes = { allow: 0, deny: 0, none: 0 };
  fc.assert(
    fc.property(policies(), fc.option(scopesOfKey, { nil: undefined }), (policy, scopes) => {
      const index = createPolicyIndex(policy);
      for (const question of questions()) {
        const expected = naiveDecide(policy, { ...question, ...(scopes === undefined ? {} : { scopes }) });
        const actual = fast(index, question, scopes);
        outcomes[expected]++;
        assert.equal(
          actual.allow,
          expected === 'allow',
          `${JSON.stringify(question)} is ${actual.code}, not ${expected}`,
        );
        assert.equal(actual.code === 'explicit_deny', expected === 'deny');
      }
    }),
    { numRuns: RUNS },
  );
  for (const [outcome, count] of Object.entries(outcomes))
    assert.ok(count > 50, `${outcome} was seen ${count} times`);
});

test('groups are flattened as the naive closure says, circles included', () => {
  fc.assert(
    fc.property(policies(), (policy) => {
      const index = createPolicyIndex(policy);
      for (const id of [...PRINCIPALS, ...GROUPS]) {
        const expected = [...naiveSubjects(policy, id)].filter((other) => other !== id).toSorted();
        assert.deepEqual([...groupsOf(index, id)].toSorted(), expected);
      }
    }),
    { numRuns: RUNS },
  );
});

test('adding an allowance never takes access away, adding a denial never gives any', () => {
  fc.assert(
    fc.property(policies(), bindingArbitrary(), (policy, binding) => {
      const before = createPolicyIndex(policy);
      const after = createPolicyIndex({ ...policy, bindings: [...policy.bindings, binding] });
      for (const question of questions()) {
        const [was, is] = [fast(before, question).allow, fast(after, question).allow];
        if (binding.effect === 'allow') assert.ok(is || !was);
        else assert.ok(was || !is);
      }
    }),
    { numRuns: RUNS },
  );
});

test('an index brought forward by changes decides as one that is built anew', () => {
  const change: fc.Arbitrary<PolicyChange> = fc.oneof(
    bindingArbitrary().map((binding) => ({ kind: 'add_binding', binding }) as const),
    fc.nat(13).map((at) => ({ kind: 'delete_binding', id: `bnd_${at}` }) as const),
    fc
      .tuple(
        fc.constantFrom('add_member', 'remove_member'),
        fc.constantFrom(...GROUPS),
        fc.constantFrom(...PRINCIPALS, ...GROUPS),
      )
      .map(([kind, group, member]) => ({ kind, group, member }) as const),
    fc.constantFrom(...GROUPS).map((id) => ({ kind: 'delete_group', id }) as const),
    policies().map(({ roles }) => ({ kind: 'put_role', role: roles[2] ?? assert.fail() }) as const),
  );
  fc.assert(
    fc.property(policies(), fc.array(change, { minLength: 1, maxLength: 6 }), (policy, changes) => {
      const index = createPolicyIndex(policy);
      let model = policy;
      for (const [at, one] of changes.entries()) {
        // Ids of bindings are unique in life.
        const unique =
          one.kind === 'add_binding' ? { ...one, binding: { ...one.binding, id: `bnd_new${at}` } } : one;
        applyChanges(index, [unique], index.revision + 1);
        model = applied(model, unique);
      }
      const rebuilt = createPolicyIndex(model);
      assert.equal(index.revision, 1 + changes.length);
      for (const question of questions())
        assert.equal(fast(index, question).code, fast(rebuilt, question).code);
      for (const id of PRINCIPALS) {
        assert.deepEqual([...groupsOf(index, id)].toSorted(), [...groupsOf(rebuilt, id)].toSorted());
      }
    }),
    { numRuns: RUNS },
  );
});

test('who-can names exactly those for whom the decision is yes', () => {
  fc.assert(
    fc.property(policies(), (policy) => {
      const index = createPolicyIndex(policy);
      for (const permission of ASKED) {
        for (const resource of RESOURCES) {
          const expected = PRINCIPALS.filter(
            (principal) => fast(index, { principal, permission, resource, now: NOW }).allow,
          );
          const found = whoCan(index, permission, resource, NOW).map((holder) => holder.id);
          assert.deepEqual(found, [...expected].toSorted());
        }
      }
    }),
    { numRuns: 60 },
  );
});

test('whoever lacks nothing of a binding may do all that it gives, now and until it ends', () => {
  let held = 0;
  fc.assert(
    fc.property(policies(), bindingArbitrary(), fc.constantFrom(...PRINCIPALS), (policy, binding, id) => {
      const index = createPolicyIndex(policy);
      const caller = {
        principal: { kind: 'user', id, name: id, groups: [] },
        credential: { kind: 'password', id: `password:${id}` },
      } as const;
      if (lacking(index, caller, holdingOf(index, binding), NOW).length > 0) return;
      held++;
      // The binding alone, in the hands of somebody new, as of every moment in which it could be in force.
      const other = {
        ...policy,
        groups: [],
        bindings: [{ ...binding, subject: 'usr_new', effect: 'allow' as const }],
      };
      for (const { permission, resource } of questions()) {
        for (const now of [NOW, NOW + 1, NOW + 2]) {
          if (naiveDecide(other, { principal: 'usr_new', permission, resource, now }) !== 'allow') continue;
          assert.equal(naiveDecide(policy, { principal: id, permission, resource, now }), 'allow');
        }
      }
    }),
    { numRuns: 700 },
  );
  assert.ok(held > 20, `${held} holdings were complete`);
});

interface Question {
  readonly principal: string;
  readonly permission: string;
  readonly resource: string;
  readonly now: number;
}

function* questions(): Generator<Question> {
  for (const principal of PRINCIPALS) {
    for (const permission of ASKED) {
      for (const resource of RESOURCES) yield { principal, permission, resource, now: NOW };
    }
  }
}

function fast(
  index: PolicyIndex,
  { principal, permission, resource, now }: Question,
  scopes?: readonly { permission: string; scope: string }[],
) {
  const credential = scopes === undefined ? {} : { scopes };
  return decide(index, { principal: { kind: 'user', id: principal }, credential, permission, resource, now });
}

function applied(policy: Policy, change: PolicyChange): Policy {
  switch (change.kind) {
    case 'add_binding':
      return { ...policy, bindings: [...policy.bindings, change.binding] };
    case 'delete_binding':
      return { ...policy, bindings: policy.bindings.filter(({ id }) => id !== change.id) };
    case 'delete_group':
      return { ...policy, groups: policy.groups.filter(({ id }) => id !== change.id) };
    case 'add_member':
    case 'remove_member': {
      const groups = policy.groups.map((group) => {
        if (group.id !== change.group) return group;
        const members = new Set(group.members);
        if (change.kind === 'add_member') members.add(change.member);
        else members.delete(change.member);
        return { ...group, members };
      });
      return { ...policy, groups };
    }
    case 'put_role':
      return {
        ...policy,
        roles: policy.roles.map((role) => (role.id === change.role.id ? change.role : role)),
      };
    case 'add_group':
    case 'delete_role':
      break;
  }
  throw new Error(`no model of ${change.kind}`);
}
