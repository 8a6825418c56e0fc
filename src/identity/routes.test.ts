import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import type { ZodType } from 'zod';
import type { AuditFacts, Call, Reply } from '../http/route.ts';
import type { Caller } from '../kernel/principal.ts';
import { isProblem, Problem } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { identityProblems } from './problems.ts';
import { createIdentityRoutes } from './routes.ts';
import type { Identity } from './service.ts';
import { basic, createTestKeep, GOOD_PASSWORD } from './testing.ts';

const HOME = { address: '192.0.2.1' };

interface Sent {
  readonly as?: Caller;
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, unknown>>;
  /** `permission scope` pairs that the caller holds; everything, unless given. */
  readonly held?: readonly string[];
}

/** Sends a request as the server would after the guard: matched, parsed by the schemas, its answer checked. */
function createClient(identity: Identity) {
  const routes = createIdentityRoutes(identity, () => true);
  return async (request: string, { as = LOCAL, body, query = {}, held }: Sent = {}) => {
    const [method = '', path = ''] = request.split(' ');
    const segments = path.split('/');
    const route = routes.find((each) => {
      const template = each.path.split('/');
      return (
        each.method === method &&
        template.length === segments.length &&
        template.every((part, i) => part.startsWith('{') || part === segments[i])
      );
    });
    assert.ok(route, `no route ${request}`);
    const params: Record<string, string> = {};
    route.path.split('/').forEach((part, i) => {
      if (part.startsWith('{')) params[part.slice(1, -1)] = segments[i] ?? '';
    });
    const facts: AuditFacts[] = [];
    const require = (permission: string, scope: string): void => {
      if (held !== undefined && !held.includes(`${permission} ${scope}`)) {
        throw new Problem({ code: 'access.denied', status: 403, title: 'Denied' }, `${permission} ${scope}`);
      }
    };
    const parse = (schema: unknown, value: unknown) =>
      schema === undefined ? value : (schema as ZodType).parse(value);
    const call: Call = {
      params,
      query: parse(route.request?.query, query) as Call['query'],
      body: parse(route.request?.body, body),
      bytes: new Uint8Array(),
      stream: Readable.from([]),
      headers: {},
      caller: as,
      requestId: 'req_1',
      source: { ...HOME, port: 1 },
      signal: new AbortController().signal,
      note: (fact) => void facts.push(fact),
      require,
    };
    const reply: Reply = await route.handle(call);
    if (route.response !== undefined) route.response.parse(reply.body);
    return {
      status: reply.status ?? route.status ?? 200,
      body: reply.body as Record<string, unknown>,
      facts,
    };
  };
}

const LOCAL: Caller = {
  principal: { kind: 'local', id: 'local:root', name: 'root', groups: [] },
  credential: { kind: 'local', id: 'local:root' },
};

const denied = (detail: string) => (error: unknown) =>
  isProblem(error) && error.code === 'access.denied' && error.detail === detail;
const fails = (code: string) => (error: unknown) => isProblem(error) && error.code === code;

async function setUp() {
  const { identity } = await createTestKeep();
  await identity.users.create({ name: 'eve', password: new Secret(GOOD_PASSWORD) });
  await identity.serviceAccounts.create({ name: 'robot' });
  const callerOf = (header: string) => identity.authenticator.authenticate(header, HOME);
  return { identity, send: createClient(identity), ada: await callerOf(basic('ada')), callerOf };
}

test('every route has a guard, a scope that no name can dodge, and a name for its entry', async () => {
  const { identity } = await setUp();
  const routes = createIdentityRoutes(identity, () => true);
  assert.equal(routes.length, 16);
  for (const { method, path, guard, audit } of routes) {
    assert.equal(typeof audit, 'string', path);
    if (!('permission' in guard)) continue;
    // A scope made of the name in the path would differ from one made of the id: a deny on one could be dodged.
    const scope = guard.scope({ params: { user: 'ada', account: 'robot' } });
    assert.equal(
      scope,
      path.includes('service-accounts') ? '/service-accounts' : '/users',
      `${method} ${path}`,
    );
  }
  assert.deepEqual(
    routes.filter(({ guard }) => 'public' in guard).map(({ path }) => path),
    ['/api/v1/setup'],
  );
});

test('whoami tells a caller about itself', async () => {
  const { send, ada } = await setUp();
  const { body } = await send('GET /api/v1/whoami', { as: ada });
  assert.deepEqual(body, { principal: ada.principal, credential: ada.credential });
});

test('a user is created, listed, changed and deleted', async () => {
  const { send } = await setUp();
  const made = await send('POST /api/v1/users', { body: { name: 'bob', password: GOOD_PASSWORD } });
  assert.equal(made.status, 201);
  const id = String(made.body['id']);
  assert.deepEqual(made.facts, [{ resource: `/users/${id}`, detail: { name: 'bob' } }]);
  assert.ok(!JSON.stringify(made).includes(GOOD_PASSWORD));
  assert.equal((await send(`GET /api/v1/users/${id}`)).body['name'], 'bob');
  const changed = await send('PATCH /api/v1/users/bob', { body: { display: 'Bob', state: 'disabled' } });
  assert.deepEqual([changed.body['display'], changed.body['state']], ['Bob', 'disabled']);
  await send('DELETE /api/v1/users/bob');
  const { users } = (await send('GET /api/v1/users')).body as { users: { name: string }[] };
  assert.deepEqual(
    users.map(({ name }) => name),
    ['ada', 'eve'],
  );
});

test('a change may set nothing but display and state', async () => {
  const { send } = await setUp();
  for (const member of ['id', 'name', 'kind', 'password', 'credentialVersion', 'role', '__proto__']) {
    const body: unknown = JSON.parse(`{"${member}": "x"}`);
    await assert.rejects(send('PATCH /api/v1/users/ada', { body }), { name: 'ZodError' }, member);
  }
});

test('disabling needs the permission to disable', async () => {
  const { send, ada } = await setUp();
  await assert.rejects(
    send('PATCH /api/v1/users/eve', { as: ada, body: { state: 'disabled' }, held: [] }),
    denied('user.disable /users'),
  );
  await send('PATCH /api/v1/users/eve', { as: ada, body: { display: 'Eve' }, held: [] });
});

test('service accounts are created, listed, changed and deleted', async () => {
  const { send } = await setUp();
  const made = await send('POST /api/v1/service-accounts', { body: { name: 'cron', display: 'Nightly' } });
  assert.equal(made.status, 201);
  assert.equal(
    (await send(`GET /api/v1/service-accounts/${String(made.body['id'])}`)).body['display'],
    'Nightly',
  );
  await send('PATCH /api/v1/service-accounts/cron', { body: { state: 'disabled' } });
  await send('DELETE /api/v1/service-accounts/cron');
  const { body } = await send('GET /api/v1/service-accounts');
  assert.deepEqual(
    (body['serviceAccounts'] as { name: string }[]).map(({ name }) => name),
    ['robot'],
  );
  await assert.rejects(send('GET /api/v1/service-accounts/ada'), fails('identity.not_found'));
});

test('setup makes the first user and is refused ever after', async () => {
  const { identity } = await createTestKeep();
  await identity.users.remove('ada');
  const send = createClient(identity);
  const token = (await identity.issueSetupToken()).reveal();
  const made = await send('POST /api/v1/setup', { body: { token, name: 'root', password: GOOD_PASSWORD } });
  assert.equal(made.status, 201);
  assert.ok(!JSON.stringify(made).includes(token));
  await assert.rejects(
    send('POST /api/v1/setup', { body: { token, name: 'root2', password: GOOD_PASSWORD } }),
    fails('identity.setup_refused'),
  );
});

test('one changes one’s own password with the password, never with a key', async () => {
  const { send, identity, ada, callerOf } = await setUp();
  const body = { password: 'crimson oboes at dusk' };
  const { text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const byKey = await callerOf(`Bearer ${text.reveal()}`);
  await assert.rejects(
    send('PUT /api/v1/users/ada/password', { as: byKey, body }),
    fails('identity.limited_credential'),
  );
  await send('PUT /api/v1/users/ada/password', { as: ada, body, held: [] });
  await callerOf(basic('ada', body.password));
});

test('a password for another is a way to act as them, and needs that permission too', async () => {
  const { send, identity, ada } = await setUp();
  const eve = identity.users.get('eve').id;
  const body = { password: 'crimson oboes at dusk' };
  const put = (held: string[]) => send('PUT /api/v1/users/eve/password', { as: ada, body, held });
  await assert.rejects(put([]), denied('user.update /users'));
  await assert.rejects(put(['user.update /users']), denied(`user.impersonate /users/${eve}`));
  await put(['user.update /users', `user.impersonate /users/${eve}`]);
});

test('one’s own keys need no permission; the text is shown once', async () => {
  const { send, ada, callerOf } = await setUp();
  const made = await send('POST /api/v1/api-keys', {
    as: ada,
    body: { owner: 'user:ada', label: 'laptop' },
    held: [],
  });
  assert.equal(made.status, 201);
  const text = String(made.body['key']);
  assert.equal((await callerOf(`Bearer ${text}`)).principal.name, 'ada');
  assert.equal(made.body['owner'], 'user:ada');
  assert.ok(!JSON.stringify(made.facts).includes(text));
  const listed = await send('GET /api/v1/api-keys', { as: ada, query: { owner: 'me' }, held: [] });
  assert.equal((listed.body['keys'] as unknown[]).length, 1);
  assert.ok(!JSON.stringify(listed.body).includes(text));
  await send(`DELETE /api/v1/api-keys/${String(made.body['id'])}`, { as: ada, held: [] });
  await assert.rejects(callerOf(`Bearer ${text}`), fails('identity.unauthenticated'));
});

test('a key for another needs apikey.create and the right to act as them', async () => {
  const { send, identity, ada } = await setUp();
  const eve = identity.users.get('eve').id;
  const robot = identity.serviceAccounts.get('robot').id;
  const create = (owner: string, held: string[]) =>
    send('POST /api/v1/api-keys', { as: ada, body: { owner }, held });
  await assert.rejects(create('user:eve', []), denied('apikey.create /'));
  await assert.rejects(create('user:nobody', []), denied('apikey.create /'));
  await assert.rejects(create('user:eve', ['apikey.create /']), denied(`user.impersonate /users/${eve}`));
  await assert.rejects(
    create('service-account:robot', ['apikey.create /']),
    denied(`serviceaccount.update /service-accounts/${robot}`),
  );
  await create('service-account:robot', [
    'apikey.create /',
    `serviceaccount.update /service-accounts/${robot}`,
  ]);
  await assert.rejects(create('user:nobody', ['apikey.create /']), fails('identity.not_found'));
});

test('a key with scopes makes and lists none, but may end itself', async () => {
  const { send, identity, callerOf } = await setUp();
  const scopes = [{ permission: 'model.invoke', scope: '/' }];
  const { key, text } = await identity.apiKeys.create({ owner: 'user:ada', scopes }, 'usr_x');
  const other = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const as = await callerOf(`Bearer ${text.reveal()}`);
  const refused = fails('identity.limited_credential');
  await assert.rejects(send('POST /api/v1/api-keys', { as, body: { owner: 'user:ada' } }), refused);
  await assert.rejects(send('GET /api/v1/api-keys', { as, query: { owner: 'me' } }), refused);
  await assert.rejects(
    send(`DELETE /api/v1/api-keys/${other.key.id}`, { as, held: [] }),
    denied('apikey.revoke /'),
  );
  await send(`DELETE /api/v1/api-keys/${key.id}`, { as, held: [] });
  await assert.rejects(callerOf(`Bearer ${text.reveal()}`), fails('identity.unauthenticated'));
});

test('the keys of others are not shown or ended without permission, nor told from keys that do not exist', async () => {
  const { send, identity, ada } = await setUp();
  const { key } = await identity.apiKeys.create({ owner: 'user:eve' }, 'usr_x');
  for (const query of [{}, { owner: 'user:eve' }, { owner: 'user:nobody' }]) {
    await assert.rejects(send('GET /api/v1/api-keys', { as: ada, query, held: [] }), denied('apikey.list /'));
  }
  for (const reference of [key.id, key.publicId, 'key_none', '__proto__']) {
    await assert.rejects(
      send(`DELETE /api/v1/api-keys/${reference}`, { as: ada, held: [] }),
      denied('apikey.revoke /'),
    );
  }
  const all = await send('GET /api/v1/api-keys', { as: ada, held: ['apikey.list /'] });
  assert.equal((all.body['keys'] as unknown[]).length, 1);
  assert.equal((await send(`DELETE /api/v1/api-keys/${key.id}`)).body['id'], key.id);
  await assert.rejects(send('DELETE /api/v1/api-keys/key_none'), (error) =>
    isProblem(error, identityProblems.not_found),
  );
});
