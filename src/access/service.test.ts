import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import type { Caller, Credential } from '../kernel/principal.ts';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import type { BindingDraft } from './binding-service.ts';
import { createMemoryStore } from './memory-store.ts';
import { accessProblems as problems } from './problems.ts';
import { createAccessControl, type Subject } from './service.ts';

const SCORE = '/projects/fraud/models/score';

function callerOf(name: string, credential: Partial<Credential> = {}): Caller {
  const id = `usr_${name}`;
  return {
    principal: { kind: 'user', id, name, groups: [] },
    credential: { kind: 'password', id: `password:${id}`, ...credential },
  };
}
const local: Caller = {
  principal: { kind: 'local', id: 'local:root', name: 'root', groups: [] },
  credential: { kind: 'local', id: 'local:root' },
};

async function open(store = createMemoryStore()) {
  const clock = createManualClock();
  const resolveSubject = async (reference: string): Promise<Subject | undefined> => {
    const name = /^(?:user:|usr_)([a-z]+)$/.exec(reference)?.[1];
    return name === undefined ? undefined : { id: `usr_${name}`, kind: 'user', name };
  };
  const access = await createAccessControl({ store, clock, resolveSubject });
  const bind = (
    author: Caller,
    subject: string,
    role: string,
    scope: string,
    rest: Partial<BindingDraft> = {},
  ) => {
    const always = { effect: 'allow', notBefore: null, expiresAt: null, reason: '' } as const;
    return access.bindings.create(author, { subject, role, scope, ...always, ...rest });
  };
  return { access, bind, clock, store };
}

async function refused(work: Promise<unknown>, definition: ProblemDefinition): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isProblem(error, definition), `expected ${definition.code}, got ${String(error)}`);
    return true;
  });
}

test('a refusal names the missing permission and its scope', async () => {
  const { access } = await open();
  assert.throws(
    () => access.require(callerOf('dana'), 'model.invoke', SCORE),
    (error) => {
      assert.ok(isProblem(error, problems.denied));
      assert.equal(error.status, 403);
      assert.equal(error.detail, `model.invoke@${SCORE} is missing`);
      assert.deepEqual(error.members, { permission: 'model.invoke', scope: SCORE });
      return true;
    },
  );
});

test('what was bound is allowed at once, and what was unbound is denied at once', async () => {
  const { access, bind } = await open();
  const dana = callerOf('dana');
  const binding = await bind(local, 'usr_dana', 'consumer', '/projects/fraud');
  access.require(dana, 'model.invoke', SCORE);
  assert.equal(access.visible(dana, 'model.invoke', SCORE), true);
  await access.bindings.delete(local, binding.id);
  assert.equal(access.decide(dana, 'model.invoke', SCORE).code, 'no_matching_binding');
});

test('a new process finds the policy as the last one left it', async () => {
  const { access, bind, store } = await open();
  const group = await access.groups.create('apps');
  await access.groups.addMember(local, 'apps', 'usr_dana');
  const role = await access.roles.create(local, {
    name: 'caller',
    description: '',
    permissions: ['model.invoke'],
    parents: [],
  });
  await bind(local, group.id, 'caller', '/projects/*');
  const { access: again } = await open(store);
  assert.equal(again.decide(callerOf('dana'), 'model.invoke', SCORE).allow, true);
  assert.deepEqual(again.groupsOf('usr_dana'), [group.id]);
  assert.deepEqual(again.roles.get('caller'), role);
});

test('a change that another replica made meanwhile is neither lost nor overwritten', async () => {
  const { access, bind, store } = await open();
  const { access: other, bind: bindThere } = await open(store);
  await bind(local, 'usr_dana', 'consumer', '/');
  await bindThere(local, 'usr_erin', 'viewer', '/');
  assert.equal(other.bindings.list().length, 2);
  assert.equal(access.bindings.list().length, 1);
  await access.reload();
  assert.equal(access.bindings.list().length, 2);
});

test('two changes at the same time both happen, each planned on the result of the other', async () => {
  const { access, bind } = await open();
  const results = await Promise.allSettled([
    access.groups.create('apps'),
    access.groups.create('apps'),
    bind(local, 'usr_dana', 'viewer', '/'),
  ]);
  assert.deepEqual(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  );
  assert.equal(access.groups.list().length, 1);
});

test('nobody binds what they do not hold there', async () => {
  const { bind } = await open();
  await bind(local, 'usr_lead', 'ml-engineer', '/projects/fraud');
  const lead = callerOf('lead');
  await bind(lead, 'usr_dana', 'consumer', SCORE);
  await refused(bind(lead, 'usr_dana', 'consumer', '/projects/churn'), problems.denied);
  await refused(bind(lead, 'usr_dana', 'consumer', '/projects/*'), problems.denied);
  await refused(bind(lead, 'usr_dana', 'admin', '/projects/fraud'), problems.escalation);
  await refused(bind(lead, 'usr_dana', 'approver', '/projects/fraud'), problems.escalation);
});

test('a denial of the author counts, wherever inside the scope it lies', async () => {
  const { bind } = await open();
  await bind(local, 'usr_lead', 'ml-engineer', '/projects/fraud');
  await bind(local, 'usr_lead', 'service', SCORE, { effect: 'deny' });
  const lead = callerOf('lead');
  await refused(bind(lead, 'usr_dana', 'consumer', '/projects/fraud'), problems.escalation);
  await bind(lead, 'usr_dana', 'consumer', '/projects/fraud/models/other');
});

test('a right that ends cannot be handed on for longer', async () => {
  const { bind, clock } = await open();
  const end = clock.now() + 1000;
  await bind(local, 'usr_lead', 'ml-engineer', '/', { expiresAt: end });
  const lead = callerOf('lead');
  await refused(bind(lead, 'usr_dana', 'consumer', '/'), problems.escalation);
  await refused(bind(lead, 'usr_dana', 'consumer', '/', { expiresAt: end + 1 }), problems.escalation);
  await bind(lead, 'usr_dana', 'consumer', '/', { expiresAt: end });
});

test("a key hands on no more than its own scopes, and no more than its owner's rights", async () => {
  const { bind } = await open();
  await bind(local, 'usr_root', 'admin', '/');
  const wildcard = callerOf('root', { scopes: [{ permission: '*', scope: '/' }] });
  await refused(bind(wildcard, 'usr_dana', 'consumer', '/'), problems.escalation); // role.bind is sensitive
  const narrow = callerOf('root', { scopes: [{ permission: '*', scope: '/projects/fraud' }] });
  await refused(bind(narrow, 'usr_dana', 'viewer', '/'), problems.denied);
  await bind(narrow, 'usr_dana', 'viewer', '/projects/fraud');
});

test('role.bind lets an admin give others what it does not hold, but not itself', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_root', 'admin', '/');
  const root = callerOf('root');
  await bind(root, 'usr_dana', 'consumer', '/');
  await refused(bind(root, 'usr_root', 'consumer', '/'), problems.self_grant);
  const group = await access.groups.create('callers');
  await bind(root, group.id, 'consumer', '/');
  await refused(access.groups.addMember(root, 'callers', 'usr_root'), problems.self_grant);
  await access.groups.addMember(root, 'callers', 'usr_erin');
  await access.groups.addMember(local, 'callers', 'usr_root');
  await refused(bind(root, group.id, 'auditor', '/'), problems.self_grant);
  await bind(root, 'usr_root', 'viewer', '/'); // no more than it has
});

test('nobody lifts a denial of their own', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_root', 'admin', '/');
  const root = callerOf('root');
  const denial = await bind(local, 'usr_root', 'viewer', '/projects/fraud', { effect: 'deny' });
  await refused(access.bindings.delete(root, denial.id), problems.self_grant);
  const group = await access.groups.create('contractors');
  await bind(local, group.id, 'viewer', '/projects/churn', { effect: 'deny' });
  await access.groups.addMember(root, 'contractors', 'usr_root');
  await refused(access.groups.removeMember(root, 'contractors', 'usr_root'), problems.self_grant);
  await refused(access.groups.delete(root, 'contractors'), problems.self_grant);
  await access.groups.delete(local, 'contractors');
});

test('membership hands on what the group has, nested groups included', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_officer', 'security-officer', '/');
  const officer = callerOf('officer');
  const outer = await access.groups.create('engineers');
  await access.groups.create('interns');
  await access.groups.addMember(officer, 'engineers', access.groups.get('interns').id);
  await access.groups.addMember(officer, 'interns', 'usr_dana');
  await bind(local, outer.id, 'ml-engineer', '/');
  await refused(access.groups.addMember(officer, 'interns', 'usr_erin'), problems.escalation);
  assert.equal(access.decide(callerOf('dana'), 'model.invoke', SCORE).allow, true);
  await access.groups.removeMember(officer, 'interns', 'usr_dana');
  assert.equal(access.decide(callerOf('dana'), 'model.invoke', SCORE).allow, false);
});

test('a group cannot contain itself', async () => {
  const { access } = await open();
  const [a, b, c] = [
    await access.groups.create('a'),
    await access.groups.create('b'),
    await access.groups.create('c'),
  ];
  await access.groups.addMember(local, 'a', b.id);
  await access.groups.addMember(local, 'b', c.id);
  await refused(access.groups.addMember(local, 'c', a.id), problems.cycle);
  await refused(access.groups.addMember(local, 'a', a.id), problems.cycle);
  assert.equal(await access.groups.addMember(local, 'a', c.id), true);
  assert.equal(await access.groups.addMember(local, 'a', c.id), false);
});

test('writing a role hands on what it gives', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_officer', 'security-officer', '/');
  const officer = callerOf('officer');
  const draft = { name: 'reader', description: 'reads', permissions: ['audit.read'], parents: [] };
  await access.roles.create(officer, draft);
  await refused(
    access.roles.create(officer, { ...draft, name: 'caller', permissions: ['model.*'] }),
    problems.escalation,
  );
  await refused(
    access.roles.create(officer, { ...draft, name: 'boss', parents: ['admin'] }),
    problems.escalation,
  );
  await refused(
    access.roles.update(officer, 'reader', { ...draft, permissions: ['model.invoke'] }),
    problems.escalation,
  );
  await bind(local, 'usr_root', 'admin', '/');
  await access.roles.update(callerOf('root'), 'reader', { ...draft, permissions: ['model.invoke'] }); // role.escalate
});

test('nobody raises their own rights through a role, nor lifts a denial by emptying one', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_root', 'admin', '/');
  const root = callerOf('root');
  const draft = { name: 'mine', description: '', permissions: ['model.read'], parents: [] };
  await access.roles.create(root, draft);
  await access.roles.create(root, { ...draft, name: 'heir', permissions: [], parents: ['mine'] });
  await bind(root, 'usr_root', 'heir', '/');
  await refused(
    access.roles.update(root, 'mine', { ...draft, permissions: ['model.invoke'] }),
    problems.self_grant,
  );
  await access.roles.create(root, { ...draft, name: 'taboo', permissions: ['model.delete'] });
  await bind(local, 'usr_root', 'taboo', '/', { effect: 'deny' });
  await refused(
    access.roles.update(root, 'taboo', { ...draft, name: 'taboo', permissions: [] }),
    problems.self_grant,
  );
});

test('a role keeps its name, its circle-free parents, and its place while it is used', async () => {
  const { access, bind } = await open();
  const draft = { name: 'a', description: '', permissions: [], parents: [] };
  const a = await access.roles.create(local, draft);
  await access.roles.create(local, { ...draft, name: 'b', parents: ['a'] });
  await refused(access.roles.update(local, 'a', { ...draft, parents: ['b'] }), problems.cycle);
  await refused(access.roles.update(local, 'a', { ...draft, parents: ['a'] }), problems.cycle);
  await refused(access.roles.create(local, draft), problems.name_taken);
  await refused(access.roles.create(local, { ...draft, name: 'admin' }), problems.name_taken);
  await refused(access.roles.create(local, { ...draft, name: 'A b' }), problems.invalid);
  await refused(access.roles.create(local, { ...draft, name: a.id }), problems.invalid);
  await refused(
    access.roles.create(local, { ...draft, name: 'c', permissions: ['model.fly'] }),
    problems.invalid,
  );
  await refused(access.roles.create(local, { ...draft, name: 'c', parents: ['nobody'] }), problems.not_found);
  await refused(access.roles.update(local, 'viewer', draft), problems.role_builtin);
  await refused(access.roles.delete('viewer'), problems.role_builtin);
  await refused(access.roles.delete('a'), problems.role_in_use);
  const binding = await bind(local, 'usr_dana', 'b', '/');
  await refused(access.roles.delete('b'), problems.role_in_use);
  await access.bindings.delete(local, binding.id);
  await access.roles.delete('b');
  await access.roles.delete('a');
  assert.deepEqual(
    access.roles.list().filter((role) => !role.builtin),
    [],
  );
});

test('the last lasting admin stays, for whoever asks', async () => {
  const { access, bind, clock } = await open();
  await access.grantFirstAdmin('usr_root');
  await refused(access.grantFirstAdmin('usr_other'), problems.admin_exists);
  const [first] = access.bindings.list();
  assert.ok(first);
  await bind(local, 'usr_dana', 'admin', '/', { expiresAt: clock.now() + 1000 });
  await bind(local, 'usr_dana', 'admin', '/projects');
  await refused(access.bindings.delete(local, first.id), problems.last_admin);
  assert.throws(
    () => access.assertRemovable('usr_root'),
    (error) => isProblem(error, problems.last_admin),
  );
  await refused(access.removeSubject('usr_root'), problems.last_admin);
  await bind(local, 'usr_erin', 'admin', '/');
  const both = await Promise.allSettled([access.removeSubject('usr_root'), access.removeSubject('usr_erin')]);
  assert.deepEqual(
    both.map(({ status }) => status),
    ['fulfilled', 'rejected'],
  );
});

test('a principal that is removed leaves no membership and no binding', async () => {
  const { access, bind } = await open();
  const group = await access.groups.create('apps');
  await access.groups.addMember(local, 'apps', 'usr_dana');
  await bind(local, 'usr_dana', 'viewer', '/');
  await bind(local, group.id, 'consumer', '/');
  await access.removeSubject('usr_dana');
  assert.deepEqual(access.groupsOf('usr_dana'), []);
  assert.deepEqual(access.bindings.list({ subject: 'usr_dana' }), []);
  assert.equal(access.bindings.list().length, 1);
  assert.equal(access.decide(callerOf('dana'), 'model.invoke', SCORE).allow, false);
});

test('a group that is deleted takes its bindings along', async () => {
  const { access, bind } = await open();
  const group = await access.groups.create('apps');
  await access.groups.addMember(local, 'apps', 'usr_dana');
  await bind(local, group.id, 'consumer', '/');
  await access.groups.delete(local, 'apps');
  assert.deepEqual([access.groups.list(), access.bindings.list(), access.groupsOf('usr_dana')], [[], [], []]);
});

test('a binding says something new, about a scope and a time that can be', async () => {
  const { bind, clock } = await open();
  await bind(local, 'usr_dana', 'viewer', '/');
  await refused(bind(local, 'usr_dana', 'viewer', '/'), problems.binding_exists);
  await bind(local, 'usr_dana', 'viewer', '/', { effect: 'deny' });
  await refused(bind(local, 'usr_dana', 'nobody', '/'), problems.not_found);
  for (const scope of ['', 'projects', '/projects/..', '/Projects', '/projects/f*']) {
    await refused(bind(local, 'usr_dana', 'viewer', scope), problems.invalid);
  }
  await refused(bind(local, 'usr_dana', 'viewer', '/users', { expiresAt: clock.now() }), problems.invalid);
  const later = clock.now() + 1000;
  await refused(
    bind(local, 'usr_dana', 'viewer', '/users', { notBefore: later, expiresAt: later }),
    problems.invalid,
  );
});

test('whoever sets a password for someone, or makes a key for them, can be asked to hold all that they hold', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_root', 'admin', '/');
  await bind(local, 'usr_officer', 'security-officer', '/');
  await bind(local, 'usr_dana', 'viewer', '/projects/fraud');
  assert.equal(access.outranks(callerOf('root'), 'usr_dana'), true);
  assert.equal(access.outranks(callerOf('officer'), 'usr_root'), false);
  assert.equal(access.outranks(callerOf('officer'), 'usr_nobody'), true);
  assert.equal(access.outranks(local, 'usr_root'), true);
});

test('a wildcard scope may be asked about: yes if every node that it stands for is', async () => {
  const { access, bind } = await open();
  await bind(local, 'usr_dana', 'consumer', '/projects');
  const dana = callerOf('dana');
  assert.equal(access.canI(dana, 'model.invoke', '/projects/*').allow, true);
  await bind(local, 'usr_dana', 'consumer', SCORE, { effect: 'deny' });
  assert.equal(access.canI(dana, 'model.invoke', '/projects/*').allow, false);
  assert.equal(access.canI(dana, 'model.invoke', '/projects/f*').code, 'unknown_resource');
  assert.equal(access.canI(dana, 'model.nothing', '/projects/*').code, 'unknown_permission');
});

test('subjects are found by kind and name, or by id', async () => {
  const { access } = await open();
  const { id } = await access.groups.create('apps');
  assert.deepEqual(await access.subject('group:apps'), { id, kind: 'group', name: 'apps' });
  assert.deepEqual(await access.subject(id), { id, kind: 'group', name: 'apps' });
  assert.equal((await access.subject('user:dana')).id, 'usr_dana');
  for (const unknown of ['apps', 'group:', 'group:nobody', 'service-account:x', '', 'grp_gone']) {
    await refused(access.subject(unknown), problems.not_found);
  }
});
