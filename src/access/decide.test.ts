import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import { decide, type DecisionRequest } from './decide.ts';
import { explain, grantors } from './explain.ts';
import type { Binding, Policy } from './policy.ts';
import { applyChanges, createPolicyIndex } from './policy-index.ts';
import { accessProblems } from './problems.ts';
import { filterResources } from './search.ts';

const NOW = 1_000;
let made = 0;

function bind(subject: string, role: string, scope: string, rest: Partial<Binding> = {}): Binding {
  const always = { notBefore: null, expiresAt: null, reason: '', createdBy: 'usr_root', createdAt: 0 };
  return { id: `bnd_${made++}`, subject, role, scope, effect: 'allow', ...always, ...rest };
}

function indexOf(bindings: readonly Binding[], rest: Partial<Policy> = {}) {
  return createPolicyIndex({ revision: 7, roles: [], groups: [], bindings, ...rest });
}

function ask(permission: string, resource: string, rest: Partial<DecisionRequest> = {}): DecisionRequest {
  return {
    principal: { kind: 'user', id: 'usr_dana' },
    credential: {},
    permission,
    resource,
    now: NOW,
    ...rest,
  };
}

const codeOf = (bindings: readonly Binding[], request: DecisionRequest) =>
  decide(indexOf(bindings), request).code;
const SCORE = '/projects/fraud/models/score';

test('an empty policy denies everything', () => {
  const decision = decide(indexOf([]), ask('model.invoke', SCORE));
  assert.deepEqual(decision, { allow: false, code: 'no_matching_binding', revision: 7, matched: [] });
});

test('a binding gives its role on its subtree, and names itself', () => {
  const binding = bind('usr_dana', 'consumer', '/projects/fraud');
  const index = indexOf([binding]);
  assert.deepEqual(decide(index, ask('model.invoke', SCORE)), {
    allow: true,
    code: 'allowed',
    revision: 7,
    matched: [binding.id],
  });
  assert.equal(decide(index, ask('model.invoke', '/projects/fraudulent/models/score')).allow, false);
  assert.equal(decide(index, ask('model.delete', SCORE)).allow, false);
  assert.equal(
    decide(index, ask('model.invoke', SCORE, { principal: { kind: 'user', id: 'usr_d' } })).allow,
    false,
  );
});

test('a denial overrides, on exactly its permissions and its scope', () => {
  const deny = bind('usr_dana', 'consumer', SCORE, { effect: 'deny' });
  const index = indexOf([bind('usr_dana', 'ml-engineer', '/'), deny]);
  assert.deepEqual(decide(index, ask('model.invoke', `${SCORE}/versions/1`)), {
    allow: false,
    code: 'explicit_deny',
    revision: 7,
    matched: [deny.id],
  });
  assert.equal(decide(index, ask('model.invoke', '/projects/fraud')).allow, true, 'the parent');
  assert.equal(decide(index, ask('model.invoke', '/projects/fraud/models/other')).allow, true, 'a sibling');
  assert.equal(decide(index, ask('model.read', SCORE)).allow, true, 'another permission');
});

test('a binding counts from its start up to its end', () => {
  const timed = [bind('usr_dana', 'consumer', '/', { notBefore: 500, expiresAt: 1500 })];
  const at = (now: number) => codeOf(timed, ask('model.invoke', SCORE, { now }));
  assert.deepEqual([499, 500, 1499, 1500].map(at), [
    'pending_binding',
    'allowed',
    'allowed',
    'expired_binding',
  ]);
  const deny = [
    bind('usr_dana', 'consumer', '/'),
    bind('usr_dana', 'consumer', '/', { effect: 'deny', expiresAt: 1000 }),
  ];
  assert.equal(codeOf(deny, ask('model.invoke', SCORE, { now: 999 })), 'explicit_deny');
  assert.equal(codeOf(deny, ask('model.invoke', SCORE, { now: 1000 })), 'allowed');
});

test("an API key reaches no further than its scopes, and no further than its owner's rights", () => {
  const bindings = [bind('usr_dana', 'ml-engineer', '/projects/fraud')];
  const withKey = (permission: string, scope: string) => ({
    credential: { scopes: [{ permission, scope }] },
  });
  assert.equal(codeOf(bindings, ask('model.invoke', SCORE, withKey('model.invoke', SCORE))), 'allowed');
  assert.equal(codeOf(bindings, ask('model.invoke', SCORE, withKey('model.*', '/projects/*'))), 'allowed');
  assert.equal(codeOf(bindings, ask('model.read', SCORE, withKey('model.invoke', '/'))), 'credential_scope');
  assert.equal(
    codeOf(bindings, ask('model.invoke', SCORE, withKey('*', '/projects/churn'))),
    'credential_scope',
  );
  assert.equal(
    codeOf(bindings, ask('model.download', SCORE, withKey('*', '/'))),
    'credential_scope',
    'sensitive',
  );
  assert.equal(codeOf(bindings, ask('model.download', SCORE, withKey('model.download', '/'))), 'allowed');
  assert.equal(
    codeOf(bindings, ask('model.invoke', SCORE, { credential: { scopes: [] } })),
    'credential_scope',
  );
  assert.equal(codeOf(bindings, ask('user.read', '/users', withKey('*', '/'))), 'no_matching_binding');
});

test('wildcard scopes stand for one segment each', () => {
  const bindings = [
    bind('usr_dana', 'consumer', '/projects/*/models/score'),
    bind('usr_dana', 'consumer', '/projects/churn', { effect: 'deny' }),
  ];
  assert.equal(codeOf(bindings, ask('model.invoke', SCORE)), 'allowed');
  assert.equal(codeOf(bindings, ask('model.invoke', '/projects/fraud/models/other')), 'no_matching_binding');
  assert.equal(codeOf(bindings, ask('model.invoke', '/projects/churn/models/score')), 'explicit_deny');
});

test('the local owner may do everything there is; a disabled subject nothing', () => {
  const local = { principal: { kind: 'local', id: 'local:root' } } as const;
  assert.equal(codeOf([], ask('system.backup', '/', local)), 'local_owner');
  assert.equal(codeOf([], ask('system.nothing', '/', local)), 'unknown_permission');
  assert.equal(
    codeOf([bind('usr_dana', 'admin', '/')], ask('user.list', '/users', { disabled: true })),
    'subject_disabled',
  );
});

test('what is no permission or no path is denied, whatever it is, and nothing throws', () => {
  const index = indexOf([bind('usr_dana', 'admin', '/')]);
  for (const permission of ['', '*', 'model.*', 'model.nothing', '__proto__', 'constructor', 'toString']) {
    assert.equal(decide(index, ask(permission, '/')).code, 'unknown_permission');
  }
  for (const resource of [
    '',
    'users',
    '/users/',
    '//users',
    '/users/..',
    '/projects/fraud/../../users',
    '/users/*',
    '/Users',
    '/users\0',
    '/users/%2e',
  ]) {
    assert.equal(decide(index, ask('user.list', resource)).code, 'unknown_resource', resource);
  }
  const odd = {
    principal: { kind: 'user', id: '__proto__' },
    credential: { scopes: [{ permission: '__proto__', scope: '__proto__' }] },
  } as const;
  assert.equal(decide(index, ask('user.list', '/', odd)).code, 'credential_scope');
});

test('a revoked membership is gone with the next decision', () => {
  const group = { id: 'grp_apps', name: 'apps', createdAt: 0, members: new Set(['usr_dana']) };
  const index = indexOf([bind('grp_apps', 'consumer', '/')], { groups: [group] });
  assert.equal(decide(index, ask('model.invoke', SCORE)).allow, true);
  applyChanges(index, [{ kind: 'remove_member', group: 'grp_apps', member: 'usr_dana' }], 8);
  assert.deepEqual(decide(index, ask('model.invoke', SCORE)), {
    allow: false,
    code: 'no_matching_binding',
    revision: 8,
    matched: [],
  });
});

test('many changes of one subject keep the index small and right', () => {
  const index = indexOf([bind('usr_dana', 'consumer', '/projects/fraud')]);
  for (let round = 0; round < 3000; round++) {
    const binding = bind('usr_dana', 'viewer', `/projects/p${round % 10}`);
    applyChanges(index, [{ kind: 'add_binding', binding }], index.revision + 1);
    assert.equal(decide(index, ask('model.read', `/projects/p${round % 10}/models/a`)).allow, true);
    applyChanges(index, [{ kind: 'delete_binding', id: binding.id }], index.revision + 1);
  }
  assert.equal(decide(index, ask('model.read', '/projects/p3/models/a')).allow, false);
  assert.equal(decide(index, ask('model.invoke', SCORE)).allow, true);
  assert.ok(index.layout.words.length < 20_000, `${index.layout.words.length} words`);
});

test('a stored policy that no change could have made is refused', () => {
  const role = { id: 'rol_a', name: 'a', description: '', builtin: false, createdAt: 0, updatedAt: 0 };
  const corrupt: readonly (() => unknown)[] = [
    () => indexOf([bind('usr_dana', 'rol_gone', '/')]),
    () => indexOf([bind('usr_dana', 'viewer', '/projects/..')]),
    () => indexOf([], { roles: [{ ...role, permissions: ['model.nothing'], parents: [] }] }),
    () => indexOf([], { roles: [{ ...role, permissions: [], parents: ['rol_gone'] }] }),
  ];
  for (const build of corrupt)
    assert.throws(build, (error) => isProblem(error, accessProblems.policy_corrupt));
});

test('an explanation names every binding that matched, and what nearly did', () => {
  const [allow, deny] = [
    bind('grp_apps', 'consumer', '/projects/fraud'),
    bind('usr_dana', 'consumer', SCORE, { effect: 'deny' }),
  ];
  const near = [
    bind('usr_dana', 'consumer', '/users'),
    bind('usr_dana', 'consumer', '/projects/fraud/models/other'),
    bind('usr_dana', 'consumer', '/', { expiresAt: 900 }),
    bind('usr_dana', 'consumer', '/', { notBefore: 1100 }),
    bind('usr_dana', 'viewer', SCORE),
  ];
  const group = { id: 'grp_apps', name: 'apps', createdAt: 0, members: new Set(['usr_dana']) };
  const { decision, asked, matched, nearMisses } = explain(
    indexOf([allow, deny, ...near], { groups: [group] }),
    ask('model.invoke', SCORE),
  );
  assert.equal(decision.code, 'explicit_deny');
  assert.equal(asked, `model.invoke@${SCORE}`);
  assert.deepEqual(
    matched.map(({ binding, effect, via }) => [binding, effect, via]),
    [
      [deny.id, 'deny', 'usr_dana'],
      [allow.id, 'allow', 'grp_apps'],
    ],
  );
  assert.deepEqual(
    nearMisses.map(({ kind }) => kind),
    ['expired', 'not_yet', 'other_scope', 'other_scope'],
  );
  assert.ok(
    nearMisses[2]?.kind === 'other_scope' && nearMisses[2].binding === near[1]?.id,
    'the nearer scope first',
  );
});

test('an explanation tells a key that is too narrow from an owner without the right', () => {
  const credential = { scopes: [{ permission: 'model.read', scope: '/' }] };
  const withRight = explain(
    indexOf([bind('usr_dana', 'consumer', '/')]),
    ask('model.invoke', SCORE, { credential }),
  );
  assert.equal(withRight.decision.code, 'credential_scope');
  assert.deepEqual(withRight.nearMisses, [{ kind: 'credential_scope' }]);
  assert.deepEqual(explain(indexOf([]), ask('model.invoke', SCORE, { credential })).nearMisses, []);
});

test('those who can grant may bind there, and hold the right or role.bind', () => {
  const index = indexOf([
    bind('usr_admin', 'admin', '/'), // has role.bind, not model.invoke
    bind('usr_lead', 'ml-engineer', '/projects/fraud'), // holds model.invoke
    bind('usr_officer', 'security-officer', '/'), // may bind, holds neither
    bind('usr_dana', 'consumer', '/'),
  ]);
  assert.deepEqual(grantors(index, 'model.invoke', SCORE, NOW), ['usr_admin', 'usr_lead']);
});

test('a list is cut down to what the caller may see', () => {
  const caller = {
    principal: { kind: 'user', id: 'usr_dana', name: 'dana', groups: [] },
    credential: { kind: 'password', id: 'password:usr_dana' },
  } as const;
  const index = indexOf([bind('usr_dana', 'viewer', SCORE)]);
  assert.deepEqual(
    filterResources(index, caller, 'model.read', ['/projects/fraud/models/a', SCORE, '/x/'], NOW),
    [SCORE],
  );
});
