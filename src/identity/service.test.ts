import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { createMemoryStore } from './memory-store.ts';
import { parsePhc } from './password/phc.ts';
import { identityProblems } from './problems.ts';
import { createIdentity } from './service.ts';
import { createSqlStore } from './sql-store.ts';
import { basic, createTestKeep, createTestRing, GOOD_PASSWORD } from './testing.ts';

const HOME = { address: '192.0.2.1' };
const DAY = 86_400_000;
const opened: Database[] = [];
after(() => Promise.all(opened.map((database) => database.close())));

async function openSqlStore(): Promise<ReturnType<typeof createSqlStore>> {
  const database = await openDatabase(':memory:');
  opened.push(database);
  return createSqlStore(database);
}

const fails = (definition: ProblemDefinition) => (error: unknown) => isProblem(error, definition);

test('with the real hasher and database, credentials outlive a restart', async () => {
  const store = await openSqlStore();
  const dependencies = {
    store,
    keyRing: createTestRing(),
    clock: createManualClock(),
    groupsOf: () => [],
    grantAdmin: async () => {},
    cost: { memoryKib: 64, passes: 1, parallelism: 1 },
  };
  const first = await createIdentity(dependencies);
  await first.users.create({ name: 'ada', display: 'Ada', password: new Secret(GOOD_PASSWORD) });
  const { text } = await first.apiKeys.create({ owner: 'user:ada', label: 'laptop' }, 'usr_x');
  await first.close();

  const second = await createIdentity(dependencies);
  await second.authenticator.authenticate(basic('ada'), HOME);
  await second.authenticator.authenticate(`Bearer ${text.reveal()}`, HOME);
  await assert.rejects(
    second.authenticator.authenticate(basic('ada', 'violet tubas at nine'), HOME),
    fails(identityProblems.unauthenticated),
  );
  assert.equal(second.users.get('ada').display, 'Ada');
  await second.close();
});

test('a login renews a hash of another cost or pepper, and keeps what was verified', async () => {
  const store = createMemoryStore();
  const keyRing = createTestRing();
  const dependencies = {
    store,
    keyRing,
    clock: createManualClock(),
    groupsOf: () => [],
    grantAdmin: async () => {},
  };
  const before = await createIdentity({
    ...dependencies,
    cost: { memoryKib: 64, passes: 1, parallelism: 1 },
  });
  await before.users.create({ name: 'ada', password: new Secret(GOOD_PASSWORD) });
  await before.close();

  keyRing.rotate('password-pepper');
  const later = await createIdentity({
    ...dependencies,
    cost: { memoryKib: 128, passes: 1, parallelism: 1 },
  });
  await later.authenticator.authenticate(basic('ada'), HOME);
  await later.close();
  const [ada] = (await store.load()).principals;
  const phc = parsePhc(ada?.password ?? '');
  assert.deepEqual([phc?.memoryKib, phc?.pepperVersion], [128, 2]);
  assert.equal(ada?.credentialVersion, 1);
});

test('a password hash copied into the row of another user does not open it', async () => {
  const store = createMemoryStore();
  const dependencies = {
    store,
    keyRing: createTestRing(),
    clock: createManualClock(),
    groupsOf: () => [],
    grantAdmin: async () => {},
    cost: { memoryKib: 64, passes: 1, parallelism: 1 },
  };
  const identity = await createIdentity(dependencies);
  await identity.users.create({ name: 'mallory', password: new Secret(GOOD_PASSWORD) });
  await identity.users.create({ name: 'admin', password: new Secret('crimson oboes at dusk') });
  await identity.close();
  const { principals } = await store.load();
  const [mallory, admin] = ['mallory', 'admin'].map((name) =>
    principals.find((record) => record.name === name),
  );
  assert.ok(mallory && admin);
  await store.updatePrincipal({ ...admin, password: mallory.password });

  const reopened = await createIdentity(dependencies);
  await reopened.authenticator.authenticate(basic('mallory'), HOME);
  await assert.rejects(
    reopened.authenticator.authenticate(basic('admin'), HOME),
    fails(identityProblems.unauthenticated),
  );
  await reopened.close();
});

test('the first user comes by a setup token, once, and is made an administrator', async () => {
  const granted: string[] = [];
  const { identity, clock } = await createEmptyKeep(async (id) => void granted.push(id));
  const stale = await identity.issueSetupToken();
  const token = await identity.issueSetupToken();
  const complete = (secret: Secret<string>) =>
    identity.completeSetup(secret, 'ada', new Secret(GOOD_PASSWORD));
  await assert.rejects(complete(stale), fails(identityProblems.setup_refused));
  await assert.rejects(complete(new Secret('')), fails(identityProblems.setup_refused));
  await assert.rejects(
    identity.completeSetup(token, 'ada', new Secret('short')),
    fails(identityProblems.password_refused),
  );
  const user = await complete(token);
  assert.deepEqual(granted, [user.id]);
  assert.match(token.reveal(), /^[A-Za-z0-9_-]{43}$/);
  await identity.authenticator.authenticate(basic('ada'), HOME);
  await assert.rejects(complete(token), fails(identityProblems.setup_refused));
  await assert.rejects(identity.issueSetupToken(), fails(identityProblems.setup_done));
  clock.advance(1);
});

test('a setup token ends after an hour, and two uses at once make one user', async () => {
  const { identity, clock } = await createEmptyKeep();
  const old = await identity.issueSetupToken();
  clock.advance(3_600_000);
  await assert.rejects(
    identity.completeSetup(old, 'ada', new Secret(GOOD_PASSWORD)),
    fails(identityProblems.setup_refused),
  );
  const token = await identity.issueSetupToken();
  const outcomes = await Promise.allSettled(
    ['ada', 'eve'].map((name) => identity.completeSetup(token, name, new Secret(GOOD_PASSWORD))),
  );
  assert.deepEqual(outcomes.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected']);
  assert.equal(identity.users.list().length, 1);
});

test('a setup whose administrator role cannot be given is taken back, and the token stays open', async () => {
  let working = false;
  const { identity, store } = await createEmptyKeep(async () => {
    if (!working) throw new Error('the disk is full');
  });
  const token = await identity.issueSetupToken();
  const complete = () => identity.completeSetup(token, 'ada', new Secret(GOOD_PASSWORD));
  await assert.rejects(complete(), /disk is full/);
  assert.deepEqual(identity.users.list(), []);
  assert.deepEqual((await store.load()).principals, []);
  working = true;
  assert.equal((await complete()).name, 'ada');
});

test('names are checked and unique among their kind', async () => {
  const { identity } = await createTestKeep();
  for (const name of [
    '',
    'Ada',
    '-ada',
    'ada-',
    'a.b',
    'a/b',
    'a b',
    'ä',
    'usr_1',
    'sa_x',
    '__proto__',
    'x'.repeat(64),
  ]) {
    await assert.rejects(identity.users.create({ name }), fails(identityProblems.name_invalid), name);
    await assert.rejects(
      identity.serviceAccounts.create({ name }),
      fails(identityProblems.name_invalid),
      name,
    );
  }
  await assert.rejects(identity.users.create({ name: 'ada' }), fails(identityProblems.name_taken));
  await identity.serviceAccounts.create({ name: 'ada' });
  for (const name of ['constructor', 'x'.repeat(63), 'a', 'a-b_c', '0'])
    await identity.users.create({ name });
  assert.equal(identity.users.find('constructor')?.name, 'constructor');
  assert.equal(identity.users.find('toString'), undefined);
});

test('a subject is found by kind and name, or by id', async () => {
  const { identity } = await createTestKeep();
  const ada = identity.users.get('ada');
  const robot = await identity.serviceAccounts.create({ name: 'ada' });
  const user = { id: ada.id, kind: 'user', name: 'ada' };
  const account = { id: robot.id, kind: 'service_account', name: 'ada' };
  assert.deepEqual(identity.resolveSubject('user:ada'), user);
  assert.deepEqual(identity.resolveSubject(ada.id), user);
  assert.deepEqual(identity.resolveSubject('service-account:ada'), account);
  assert.deepEqual(identity.resolveSubject(robot.id), account);
  for (const reference of ['ada', 'user:', 'user:eve', `user:${ada.id}`, '__proto__', 'group:ada']) {
    assert.equal(identity.resolveSubject(reference), undefined, reference);
  }
});

test('what services answer holds no hash and no MAC', async () => {
  const { identity } = await createTestKeep();
  const { key } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  assert.deepEqual(Object.keys(identity.users.get('ada')).toSorted(), [
    'createdAt',
    'display',
    'hasPassword',
    'id',
    'kind',
    'name',
    'state',
    'updatedAt',
  ]);
  assert.ok(!('mac' in key));
});

test('deleting a principal removes its keys and tells the rooms that know it', async () => {
  const removed: string[] = [];
  const { identity, store } = await createTestKeep({ onSubjectRemoved: (id) => void removed.push(id) });
  const { id } = identity.users.get('ada');
  await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  await identity.users.remove('ada');
  assert.deepEqual(removed, [id]);
  assert.deepEqual(await store.load(), { principals: [], keys: [] });
  assert.deepEqual(identity.apiKeys.list(), []);
  assert.equal(identity.resolveSubject(id), undefined);
  await assert.rejects(identity.users.remove('ada'), fails(identityProblems.not_found));
});

test('a key lives as long as its kind of owner allows', async () => {
  const { identity, clock } = await createTestKeep();
  await identity.serviceAccounts.create({ name: 'robot' });
  const days = async (owner: string, expiresInDays?: number): Promise<number | null> => {
    const request = expiresInDays === undefined ? { owner } : { owner, expiresInDays };
    const { expiresAt } = (await identity.apiKeys.create(request, 'usr_x')).key;
    return expiresAt === null ? null : (expiresAt - clock.now()) / DAY;
  };
  assert.equal(await days('user:ada'), 90);
  assert.equal(await days('user:ada', 365), 365);
  assert.equal(await days('service-account:robot'), null);
  assert.equal(await days('service-account:robot', 3650), 3650);
  for (const [owner, count] of [
    ['user:ada', 366],
    ['user:ada', 0],
    ['user:ada', 1.5],
    ['user:ada', Number.NaN],
    ['service-account:robot', 3651],
  ] as const) {
    await assert.rejects(days(owner, count), fails(identityProblems.key_refused), `${owner} ${count}`);
  }
});

test('scopes are permission patterns at paths; none, and nonsense, are refused', async () => {
  const { identity } = await createTestKeep({ isPermission: (text) => text === 'model.invoke' });
  const create = (permission: string, scope: string) =>
    identity.apiKeys.create({ owner: 'user:ada', scopes: [{ permission, scope }] }, 'usr_x');
  for (const [permission, scope] of [
    ['model.invoke', '/'],
    ['model.*', '/projects/fraud'],
    ['*', '/projects/*/models/score'],
  ] as const) {
    const { key } = await create(permission, scope);
    assert.deepEqual(key.scopes, [{ permission, scope }]);
  }
  for (const [permission, scope] of [
    ['model.evoke', '/'],
    ['model', '/'],
    ['*.invoke', '/'],
    ['', '/'],
    ['model.invoke', ''],
    ['model.invoke', 'projects'],
    ['model.invoke', '/projects/'],
    ['model.invoke', '//'],
    ['model.invoke', '/projects/../users'],
    ['model.invoke', '/Projects'],
    ['model.invoke', '/projects/%2e%2e'],
    ['model.invoke', `/${'a/'.repeat(300)}a`],
  ] as const) {
    await assert.rejects(
      create(permission, scope),
      fails(identityProblems.key_refused),
      `${permission}@${scope}`,
    );
  }
  await assert.rejects(
    identity.apiKeys.create({ owner: 'user:ada', scopes: [] }, 'usr_x'),
    fails(identityProblems.key_refused),
  );
});

test('no key is made for nobody or for a disabled principal', async () => {
  const { identity } = await createTestKeep();
  await assert.rejects(
    identity.apiKeys.create({ owner: 'user:eve' }, 'usr_x'),
    fails(identityProblems.not_found),
  );
  await identity.users.update('ada', { state: 'disabled' });
  await assert.rejects(
    identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x'),
    fails(identityProblems.disabled),
  );
});

test('uses of keys are written at most once a minute, and the rest at close', async () => {
  const written: ReadonlyMap<string, number>[] = [];
  const inner = createMemoryStore();
  const store = {
    ...inner,
    async touchKeys(uses: ReadonlyMap<string, number>) {
      written.push(uses);
      await inner.touchKeys(uses);
    },
  };
  const { identity, clock } = await createTestKeep({ store });
  const { key, text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const header = `Bearer ${text.reveal()}`;
  for (let i = 0; i < 10; i++) {
    clock.advance(1_000);
    await identity.authenticator.authenticate(header, HOME);
  }
  assert.equal(written.length, 1);
  assert.equal(identity.apiKeys.find(key.id)?.lastUsedAt, clock.now());
  clock.advance(60_000);
  await identity.authenticator.authenticate(header, HOME);
  clock.advance(5_000);
  await identity.authenticator.authenticate(header, HOME);
  await identity.close();
  assert.equal(written.length, 3);
  assert.equal((await store.load()).keys[0]?.lastUsedAt, clock.now());
});

test('a use that cannot be written fails no request', async () => {
  const store = { ...createMemoryStore(), touchKeys: () => Promise.reject(new Error('the disk is full')) };
  const events: string[] = [];
  const log = { info: () => {}, error: () => {}, warn: (event: string) => void events.push(event) };
  const { identity } = await createTestKeep({ store, log });
  const { text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  await identity.authenticator.authenticate(`Bearer ${text.reveal()}`, HOME);
  await identity.close();
  assert.deepEqual(events, ['identity.key_uses_not_written']);
});

test('a change that the store refuses is not seen', async () => {
  const inner = createMemoryStore();
  let isFull = false;
  const store = new Proxy(inner, {
    get: (target, name: keyof typeof inner) =>
      isFull ? () => Promise.reject(new Error('the disk is full')) : target[name],
  });
  const { identity } = await createTestKeep({ store });
  const { key } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  isFull = true;
  await assert.rejects(identity.users.update('ada', { state: 'disabled' }), /full/);
  await assert.rejects(identity.users.setPassword('ada', new Secret('crimson oboes at dusk')), /full/);
  await assert.rejects(identity.users.remove('ada'), /full/);
  await assert.rejects(identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x'), /full/);
  await assert.rejects(identity.apiKeys.revoke(key.id), /full/);
  assert.equal(identity.users.get('ada').state, 'active');
  assert.equal(identity.apiKeys.list().length, 1);
  assert.equal(identity.apiKeys.find(key.id)?.revokedAt, null);
  await identity.authenticator.authenticate(basic('ada'), HOME);
});

/** A keep without users. */
async function createEmptyKeep(grantAdmin: (id: string) => Promise<void> = async () => {}) {
  const keep = await createTestKeep({ grantAdmin });
  await keep.identity.users.remove('ada');
  return keep;
}
