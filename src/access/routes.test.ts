import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type RouteRequest, sendToRoute } from '../http/route.harness.ts';
import type { AuditFacts } from '../http/route.ts';
import { createManualClock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import { isProblem } from '../kernel/problem.ts';
import { createMemoryStore } from './memory-store.ts';
import { accessProblems as problems } from './problems.ts';
import { renderPermissionsReference } from './reference.ts';
import { createAccessRoutes } from './routes.ts';
import { createAccessControl, type Subject } from './service.ts';

const SCORE = '/projects/fraud/models/score';

function callerOf(name: string, scopes?: readonly { permission: string; scope: string }[]): Caller {
  const principal = {
    kind: name === 'root' ? 'local' : 'user',
    id: `usr_${name}`,
    name,
    groups: [],
  } as const;
  return {
    principal,
    credential: { kind: 'password', id: `password:${name}`, ...(scopes === undefined ? {} : { scopes }) },
  };
}

type Sent = Pick<RouteRequest, 'as' | 'body' | 'query'>;

/** The members that tests look at. */
interface Answer {
  readonly id: string;
  readonly next?: string;
  readonly members: readonly unknown[];
  readonly groups: readonly unknown[];
  readonly roles: readonly unknown[];
  readonly permissions: readonly string[];
  readonly parents: readonly string[];
  readonly effective: readonly string[];
  readonly builtIn: boolean;
  readonly bindings: readonly { readonly scope: string }[];
  readonly allowed: boolean;
  readonly code: string;
  readonly nearMisses: readonly { readonly hint: string }[];
  readonly grantors: readonly unknown[];
}

async function open() {
  const clock = createManualClock();
  const resolveSubject = async (reference: string): Promise<Subject | undefined> => {
    const name = /^(?:user:|usr_)([a-z]+)$/.exec(reference)?.[1];
    return name === undefined ? undefined : { id: `usr_${name}`, kind: 'user', name };
  };
  const access = await createAccessControl({ store: createMemoryStore(), clock, resolveSubject });
  const routes = createAccessRoutes(access);
  const notes: AuditFacts[] = [];

  async function send(method: string, path: string, { as = callerOf('root'), ...sent }: Sent = {}) {
    const answer = await sendToRoute(routes, method, path, {
      ...sent,
      as,
      note: (facts) => notes.push(facts),
      require: (permission, scope) => access.require(as, permission, scope),
    });
    return answer as Answer;
  }
  return { access, send, notes, routes };
}

test('a group is made, filled, shown, emptied and deleted', async () => {
  const { send, notes } = await open();
  const { id } = await send('POST', '/api/v1/groups', { body: { name: 'apps' } });
  await send('PUT', '/api/v1/groups/apps/members/user:dana');
  await send('PUT', `/api/v1/groups/${id}/members/usr_erin`);
  assert.deepEqual((await send('GET', '/api/v1/groups/apps')).members, [
    { id: 'usr_dana', kind: 'user', name: 'dana' },
    { id: 'usr_erin', kind: 'user', name: 'erin' },
  ]);
  await send('DELETE', '/api/v1/groups/apps/members/usr_dana');
  assert.deepEqual(notes.at(-1), {
    resource: `/groups/${id}`,
    detail: { group: 'apps', member: 'usr_dana' },
  });
  const { groups } = await send('GET', '/api/v1/groups');
  assert.deepEqual(groups, [{ id, name: 'apps', createdAt: '2026-01-01T00:00:00.000Z', memberCount: 1 }]);
  await send('DELETE', '/api/v1/groups/apps');
  await assert.rejects(send('GET', '/api/v1/groups/apps'), (error) => isProblem(error, problems.not_found));
});

test('a role shows what it says and what it comes to', async () => {
  const { send } = await open();
  await send('POST', '/api/v1/roles', {
    body: { name: 'caller', permissions: ['model.invoke'], parents: ['consumer'] },
  });
  const role = await send('GET', '/api/v1/roles/caller');
  assert.deepEqual([role.permissions, role.parents, role.builtIn], [['model.invoke'], ['consumer'], false]);
  assert.deepEqual(role.effective, ['deployment.invoke', 'model.invoke', 'model.list']);
  await send('PUT', '/api/v1/roles/caller', { body: { name: 'reader', permissions: ['*.read'] } });
  assert.deepEqual((await send('GET', '/api/v1/roles/reader')).parents, []);
  await send('DELETE', '/api/v1/roles/reader');
  assert.equal((await send('GET', '/api/v1/roles')).roles.length, 10);
});

test('a binding is made by names, listed by names, and deleted by id', async () => {
  const { send, notes } = await open();
  const body = {
    subject: 'user:dana',
    role: 'consumer',
    scope: '/projects/fraud',
    expiresAt: '2026-03-01T00:00:00Z',
    reason: 'trial',
  };
  const made = await send('POST', '/api/v1/bindings', { body });
  assert.deepEqual(notes.at(-1), {
    resource: '/projects/fraud',
    detail: { binding: made.id, subject: 'usr_dana', role: 'consumer', effect: 'allow' },
  });
  const { bindings } = await send('GET', '/api/v1/bindings', {
    query: { subject: 'user:dana', role: 'consumer' },
  });
  assert.deepEqual(bindings, [
    {
      ...body,
      id: made.id,
      subjectId: 'usr_dana',
      effect: 'allow',
      notBefore: null,
      expiresAt: '2026-03-01T00:00:00.000Z',
      createdBy: 'usr_root',
      createdAt: '2026-01-01T00:00:00.000Z',
    },
  ]);
  await send('DELETE', `/api/v1/bindings/${made.id}`);
  assert.deepEqual(await send('GET', '/api/v1/bindings'), { bindings: [] });
});

test('a long list of bindings comes in pages', async () => {
  const { send } = await open();
  for (const scope of ['/a', '/b', '/c']) {
    await send('POST', '/api/v1/bindings', { body: { subject: 'usr_dana', role: 'viewer', scope } });
  }
  const scopes: string[] = [];
  let after: string | undefined;
  do {
    const page = await send('GET', '/api/v1/bindings', {
      query: { limit: '2', ...(after === undefined ? {} : { after }) },
    });
    scopes.push(...page.bindings.map(({ scope }) => scope));
    after = page.next;
  } while (after !== undefined);
  assert.deepEqual(scopes.toSorted(), ['/a', '/b', '/c']);
});

test('bindings are written by whoever may where they are, and by nobody else', async () => {
  const { send } = await open();
  const lead = callerOf('lead');
  await send('POST', '/api/v1/bindings', {
    body: { subject: 'user:lead', role: 'ml-engineer', scope: '/projects/fraud' },
  });
  const made = await send('POST', '/api/v1/bindings', {
    as: lead,
    body: { subject: 'user:dana', role: 'consumer', scope: SCORE },
  });
  const denied = (error: unknown): boolean => isProblem(error, problems.denied);
  for (const scope of ['/', '/projects/churn', '/projects/*', 'nowhere']) {
    await assert.rejects(
      send('POST', '/api/v1/bindings', { as: lead, body: { subject: 'user:dana', role: 'consumer', scope } }),
      denied,
    );
  }
  const stranger = callerOf('stranger');
  await assert.rejects(send('DELETE', `/api/v1/bindings/${made.id}`, { as: stranger }), denied);
  await assert.rejects(send('DELETE', '/api/v1/bindings/bnd_unknown', { as: stranger }), denied);
  await send('DELETE', `/api/v1/bindings/${made.id}`, { as: lead });
});

test('everyone may ask about themselves', async () => {
  const { send } = await open();
  await send('POST', '/api/v1/bindings', {
    body: { subject: 'user:dana', role: 'consumer', scope: '/projects/fraud' },
  });
  const question = { permission: 'model.invoke', scope: SCORE };
  const key = callerOf('dana', [{ permission: 'model.list', scope: '/' }]);
  assert.deepEqual(await send('POST', '/api/v1/access/can-i', { as: callerOf('dana'), body: question }), {
    allowed: true,
    code: 'allowed',
    reason: `a binding gives model.invoke@${SCORE}`,
    revision: 2,
  });
  const narrow = await send('POST', '/api/v1/access/explain', { as: key, body: question });
  assert.equal(narrow.code, 'credential_scope');
  assert.deepEqual(narrow.nearMisses, [
    { kind: 'credential_scope', hint: 'the owner of the API key may; the key was made for less' },
  ]);
  const elsewhere = await send('POST', '/api/v1/access/explain', {
    as: callerOf('dana'),
    body: { ...question, scope: '/projects/churn' },
  });
  assert.match(
    elsewhere.nearMisses[0]?.hint ?? '',
    /^role consumer would give it, but is bound on \/projects\/fraud \(bnd_/,
  );
  assert.deepEqual(elsewhere.grantors, [], 'who else holds rights is not told to everyone');
});

test('asking about others takes authz.explain, and then says who can help', async () => {
  const { send } = await open();
  for (const [subject, role] of [
    ['user:officer', 'security-officer'],
    ['user:boss', 'admin'],
  ]) {
    await send('POST', '/api/v1/bindings', { body: { subject, role, scope: '/' } });
  }
  const body = { permission: 'model.invoke', scope: SCORE, subject: 'user:dana' };
  const denied = (error: unknown): boolean => isProblem(error, problems.denied);
  await assert.rejects(send('POST', '/api/v1/access/explain', { as: callerOf('dana'), body }), denied);
  const answer = await send('POST', '/api/v1/access/explain', { as: callerOf('officer'), body });
  assert.equal(answer.allowed, false);
  assert.deepEqual(answer.grantors, [{ id: 'usr_boss', kind: 'user', name: 'boss' }]);
});

test('who-can lists principals with the bindings that make it so', async () => {
  const { send } = await open();
  await send('POST', '/api/v1/groups', { body: { name: 'apps' } });
  await send('PUT', '/api/v1/groups/apps/members/user:dana');
  const { id } = await send('POST', '/api/v1/bindings', {
    body: { subject: 'group:apps', role: 'consumer', scope: '/projects/*' },
  });
  const query = { permission: 'model.invoke', scope: SCORE };
  assert.deepEqual(await send('GET', '/api/v1/access/who-can', { query }), {
    principals: [{ id: 'usr_dana', kind: 'user', name: 'dana', bindings: [id] }],
  });
  await assert.rejects(send('GET', '/api/v1/access/who-can', { as: callerOf('dana'), query }), (error) =>
    isProblem(error, problems.denied),
  );
});

test('nobody without rights gets past a guard, and every change of rights is an effect', async () => {
  const { routes } = await open();
  assert.equal(routes.length, 17);
  const open_ = routes
    .filter((route) => !('permission' in route.guard))
    .map(({ method, path }) => `${method} ${path}`);
  // Each asks in its handler, or answers about the caller alone.
  assert.deepEqual(open_, [
    'POST /api/v1/bindings',
    'DELETE /api/v1/bindings/{binding}',
    'POST /api/v1/access/can-i',
    'POST /api/v1/access/explain',
  ]);
  for (const route of routes) {
    const question = route.method === 'GET' || route.path.startsWith('/api/v1/access/');
    assert.equal(question ? (route.kind ?? 'read') : route.kind, question ? 'read' : undefined);
  }
});

test('the reference page says what the code says', async () => {
  const page = join(import.meta.dirname, '../../docs/reference/permissions.md');
  assert.equal(await readFile(page, 'utf8'), renderPermissionsReference());
});
