import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import * as fc from 'fast-check';
import type { Verdict } from '../audit/detect/responses.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { newApiKeyText } from './api-key.ts';
import { AuthenticationFailure, type FailureReason } from './authentication-failure.ts';
import { identityProblems } from './problems.ts';
import { basic, createTestKeep, createTestRing, GOOD_PASSWORD, type TestKeep } from './testing.ts';

const HOME = { address: '192.0.2.1' };

test('a user is known by name and password', async () => {
  const { identity } = await createTestKeep({ groupsOf: (id) => [`group-of-${id}`] });
  const caller = await identity.authenticator.authenticate(basic('ada'), HOME);
  const id = identity.users.get('ada').id;
  assert.deepEqual(caller, {
    principal: { kind: 'user', id, name: 'ada', groups: [`group-of-${id}`] },
    credential: { kind: 'password', id: `password:${id}` },
  });
});

test('an API key opens by Bearer, and by Basic with the name or id of its owner', async () => {
  const { identity } = await createTestKeep();
  const robot = await identity.serviceAccounts.create({ name: 'robot' });
  const scopes = [{ permission: 'model.invoke', scope: '/projects/fraud' }];
  const { key, text } = await identity.apiKeys.create({ owner: 'service-account:robot', scopes }, 'usr_x');
  for (const header of [
    `Bearer ${text.reveal()}`,
    basic('robot', text.reveal()),
    basic(robot.id, text.reveal()),
  ]) {
    assert.deepEqual(await identity.authenticator.authenticate(header, HOME), {
      principal: { kind: 'service_account', id: robot.id, name: 'robot', groups: [] },
      credential: { kind: 'api_key', id: key.id, scopes },
    });
  }
  const users = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const caller = await identity.authenticator.authenticate(basic('ada', users.text.reveal()), HOME);
  assert.deepEqual(caller.credential, { kind: 'api_key', id: users.key.id });
});

test('every refusal is the same to the outside, and names its reason inside', async () => {
  const keep = await createTestKeep();
  const { identity, clock } = keep;
  await identity.users.create({ name: 'nopass' });
  await identity.users.create({ name: 'gone', password: new Secret(GOOD_PASSWORD) });
  await identity.users.update('gone', { state: 'disabled' });
  const { text, key } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const revoked = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  await identity.apiKeys.revoke(revoked.key.id);
  const early = await identity.apiKeys.create(
    { owner: 'user:ada', notBefore: clock.now() + 60_000 },
    'usr_x',
  );
  const brief = await identity.apiKeys.create({ owner: 'user:ada', expiresInDays: 1 }, 'usr_x');
  const strangerKey = newApiKeyText().text;

  const cases: readonly (readonly [string | undefined, FailureReason])[] = [
    [undefined, 'missing'],
    ['Basic ???', 'malformed'],
    [basic('ada', 'violet tubas at nine'), 'wrong_password'],
    [basic('ADA'), 'unknown_principal'],
    [basic('eve'), 'unknown_principal'],
    [basic('__proto__'), 'unknown_principal'],
    [basic('constructor'), 'unknown_principal'],
    [basic('nopass'), 'no_password'],
    [basic('gone'), 'disabled_principal'],
    [`Bearer ${strangerKey}`, 'unknown_key'],
    [`Bearer ${strangerKey.slice(0, -6)}000000`, 'bad_checksum'],
    [basic('eve', text.reveal()), 'wrong_owner'],
    [`Bearer ${revoked.text.reveal()}`, 'revoked_key'],
    [`Bearer ${early.text.reveal()}`, 'key_not_yet_valid'],
  ];
  const outsides = new Set<string>();
  for (const [header, reason] of cases) {
    const problem = await refusal(keep, header);
    outsides.add(JSON.stringify([problem, problem.headers, problem.status]));
    assert.equal(failureOf(problem).reason, reason, header);
  }
  assert.equal(outsides.size, 1);
  const problem = await refusal(keep, undefined);
  assert.equal(problem.status, 401);
  assert.equal(problem.headers['www-authenticate'], 'Basic realm="modelkeep", Bearer');

  clock.advance(86_400_000);
  const expired = failureOf(await refusal(keep, `Bearer ${brief.text.reveal()}`));
  assert.equal(expired.reason, 'expired_key');
  assert.equal(expired.credentialId, brief.key.id);
  assert.equal(expired.principalId, key.ownerId);
});

test('a wrong password, an unknown name, a disabled user and one without a password each cost one hash', async () => {
  const keep = await createTestKeep();
  await keep.identity.users.create({ name: 'nopass' });
  await keep.identity.users.create({ name: 'gone', password: new Secret(GOOD_PASSWORD) });
  await keep.identity.users.update('gone', { state: 'disabled' });
  for (const [i, header] of [
    basic('ada', 'wrong'),
    basic('eve'),
    basic('gone'),
    basic('nopass'),
    basic('__proto__'),
  ].entries()) {
    const before = keep.hasher.calls();
    await refusal(keep, header, `198.51.100.${i}`);
    assert.equal(keep.hasher.calls() - before, 1, header);
  }
});

test('names are case-sensitive: Alice is not alice', async () => {
  const keep = await createTestKeep();
  await keep.identity.users.create({ name: 'alice', password: new Secret(GOOD_PASSWORD) });
  await keep.identity.authenticator.authenticate(basic('alice'), HOME);
  assert.equal(failureOf(await refusal(keep, basic('Alice'))).reason, 'unknown_principal');
  await assert.rejects(keep.identity.users.create({ name: 'Alice' }), (error) =>
    isProblem(error, identityProblems.name_invalid),
  );
});

test('a password verified once costs no hash for five minutes, from the same source', async () => {
  const { identity, hasher, clock } = await createTestKeep();
  const calls = async (address: string): Promise<number> => {
    const before = hasher.calls();
    await identity.authenticator.authenticate(basic('ada'), { address });
    return hasher.calls() - before;
  };
  assert.equal(await calls('192.0.2.1'), 1);
  assert.equal(await calls('192.0.2.1'), 0);
  assert.equal(await calls('192.0.2.2'), 1);
  clock.advance(299_999);
  assert.equal(await calls('192.0.2.1'), 0);
  clock.advance(1);
  assert.equal(await calls('192.0.2.1'), 1);
});

test('a changed password ends the verified one at once', async () => {
  const keep = await createTestKeep();
  await keep.identity.authenticator.authenticate(basic('ada'), HOME);
  await keep.identity.users.setPassword('ada', new Secret('crimson oboes at dusk'));
  assert.equal(failureOf(await refusal(keep, basic('ada'))).reason, 'wrong_password');
  await keep.identity.authenticator.authenticate(basic('ada', 'crimson oboes at dusk'), HOME);
});

test('a disabled user is refused at once, and a deleted one whose name is taken again does not inherit', async () => {
  const keep = await createTestKeep();
  await keep.identity.authenticator.authenticate(basic('ada'), HOME);
  await keep.identity.users.update('ada', { state: 'disabled' });
  assert.equal(failureOf(await refusal(keep, basic('ada'))).reason, 'disabled_principal');
  await keep.identity.users.update('ada', { state: 'active' });
  await keep.identity.authenticator.authenticate(basic('ada'), HOME);
  await keep.identity.users.remove('ada');
  await keep.identity.users.create({ name: 'ada', password: new Secret('crimson oboes at dusk') });
  assert.equal(failureOf(await refusal(keep, basic('ada'))).reason, 'wrong_password');
});

test('a user who is disabled while the password is being hashed is refused', async () => {
  const keep = await createTestKeep();
  const release = keep.hasher.hold();
  const pending = refusal(keep, basic('ada'));
  await keep.identity.users.update('ada', { state: 'disabled' });
  release();
  assert.equal(failureOf(await pending).reason, 'changed_meanwhile');
});

test('one password sent on many connections at once is hashed once', async () => {
  const { identity, hasher } = await createTestKeep();
  const before = hasher.calls();
  const callers = await Promise.all(
    Array.from({ length: 50 }, () => identity.authenticator.authenticate(basic('ada'), HOME)),
  );
  assert.equal(callers.length, 50);
  assert.equal(hasher.calls() - before, 1);
});

test('a revoked key is refused by the next request', async () => {
  const keep = await createTestKeep();
  const { key, text } = await keep.identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const header = `Bearer ${text.reveal()}`;
  await keep.identity.authenticator.authenticate(header, HOME);
  await keep.identity.apiKeys.revoke(key.id);
  assert.equal(failureOf(await refusal(keep, header)).reason, 'revoked_key');
});

test('disabling an owner kills its keys for good', async () => {
  const keep = await createTestKeep();
  await keep.identity.serviceAccounts.create({ name: 'robot' });
  const { text } = await keep.identity.apiKeys.create({ owner: 'service-account:robot' }, 'usr_x');
  await keep.identity.serviceAccounts.update('robot', { state: 'disabled' });
  await keep.identity.serviceAccounts.update('robot', { state: 'active' });
  assert.equal(failureOf(await refusal(keep, `Bearer ${text.reveal()}`)).reason, 'revoked_key');
});

test('keys made before the ring key was rotated still open, and move to the new version when they do', async () => {
  const ring = createTestRing();
  const keep = await createTestKeep({ keyRing: ring });
  const { identity, store } = keep;
  const { key, text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const unused = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  ring.rotate('api-keys');
  const newer = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  for (let i = 0; i < 3; i++) await identity.authenticator.authenticate(`Bearer ${text.reveal()}`, HOME);
  await identity.authenticator.authenticate(`Bearer ${newer.text.reveal()}`, HOME);
  await identity.close();
  const versions = new Map((await store.load()).keys.map(({ id, macKeyVersion }) => [id, macKeyVersion]));
  assert.deepEqual(
    [key, unused.key, newer.key].map(({ id }) => versions.get(id)),
    [2, 1, 2],
  );
  const later = await createTestKeep({ keyRing: ring, store });
  await later.identity.authenticator.authenticate(`Bearer ${text.reveal()}`, HOME);
});

test('keys under a version that was marked as compromised are refused like unknown ones', async () => {
  const ring = createTestRing();
  const keep = await createTestKeep({ keyRing: ring });
  const { text } = await keep.identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  ring.rotate('api-keys');
  ring.compromise('api-keys', 1);
  const { status } = await refusal(keep, `Bearer ${text.reveal()}`);
  assert.equal(status, 401);
});

test('a thousand wrong passwords delay strangers, hash little, and lock out neither the owner nor an API key', async () => {
  const keep = await createTestKeep();
  const { identity, hasher } = keep;
  const { text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  await identity.authenticator.authenticate(basic('ada'), HOME);
  const before = hasher.calls();
  const attacker = { address: '203.0.113.7' };
  for (let i = 0; i < 1000; i++) {
    await assert.rejects(identity.authenticator.authenticate(basic('ada', `wrong ${i}`), attacker));
  }
  assert.ok(hasher.calls() - before <= 5, 'the account is delayed before its passwords are hashed');

  const limited = await refusal(keep, basic('ada', 'one more'), attacker.address);
  assert.equal(limited.code, 'identity.throttled');
  assert.equal(limited.status, 429);
  assert.match(limited.headers['retry-after'] ?? '', /^[1-9][0-9]*$/);
  assert.equal(failureOf(limited).reason, 'throttled_account');

  // From the same source, from the owner's, and by password from where the owner is known.
  await identity.authenticator.authenticate(`Bearer ${text.reveal()}`, attacker);
  await identity.authenticator.authenticate(basic('ada', text.reveal()), HOME);
  await identity.authenticator.authenticate(basic('ada'), HOME);
});

test('an unknown name is delayed exactly like a known one', async () => {
  const outcome = async (name: string): Promise<readonly string[]> => {
    const keep = await createTestKeep();
    const codes: string[] = [];
    for (let i = 0; i < 12; i++) {
      const problem = await refusal(keep, basic(name, `wrong ${i}`), '203.0.113.7');
      codes.push(`${problem.code} ${problem.headers['retry-after'] ?? ''}`);
    }
    return codes;
  };
  const known = await outcome('ada');
  assert.deepEqual(await outcome('nobody-here'), known);
  assert.ok(known.includes('identity.throttled 1'));
});

test('a source that sends garbage is throttled, and its valid API key still opens', async () => {
  const keep = await createTestKeep();
  const { text } = await keep.identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  for (let i = 0; i < 20; i++)
    assert.equal((await refusal(keep, `Bearer ${newApiKeyText().text}`)).status, 401);
  assert.equal((await refusal(keep, `Bearer ${newApiKeyText().text}`)).status, 429);
  assert.equal((await refusal(keep, basic('ada'))).status, 429, 'a password from there could be a guess');
  assert.equal((await refusal(keep, undefined)).status, 401, 'asking without a credential is no guess');
  await keep.identity.authenticator.authenticate(`Bearer ${text.reveal()}`, HOME);
});

test('a block costs one hash and looks like a wrong password; a throttle waits for the proof of who it is', async () => {
  let verdict: Verdict = 'pass';
  const asked: unknown[] = [];
  const keep = await createTestKeep({
    detection: {
      tags: { secret: () => 'tag', claim: () => 'tag' },
      judge(visitor) {
        asked.push(visitor.isProven === true);
        return visitor.isProven === true || verdict === 'pass' || verdict.kind === 'block' ? verdict : 'pass';
      },
    },
  });
  const { identity, hasher, clock } = keep;
  const { text } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  const wrong = await refusal(keep, basic('ada', 'wrong'));
  await identity.authenticator.authenticate(basic('ada'), HOME);

  verdict = { kind: 'block', until: clock.now() + 1000, alert: 'alr_1' };
  const before = hasher.calls();
  const blocked = await refusal(keep, basic('ada'));
  assert.equal(hasher.calls() - before, 1, 'also of a password that was verified a moment ago');
  assert.deepEqual([failureOf(blocked).reason, failureOf(blocked).tags.secretTag], ['blocked', undefined]);
  const byKey = await refusal(keep, `Bearer ${text.reveal()}`);
  const outsideOf = (problem: Problem): string => JSON.stringify([problem, problem.headers, problem.status]);
  for (const problem of [blocked, byKey]) assert.equal(outsideOf(problem), outsideOf(wrong));

  verdict = { kind: 'throttle', waitMs: 1500, alert: 'alr_1' };
  asked.length = 0;
  assert.equal((await refusal(keep, basic('ada', 'wrong too'))).status, 401);
  assert.deepEqual(asked, [false]);
  assert.equal((await refusal(keep, basic('ada'))).headers['retry-after'], '2');
  assert.equal((await refusal(keep, `Bearer ${text.reveal()}`)).status, 429);
});

test('whatever the header holds, the answer is a caller or a problem of this room', async () => {
  const keep = await createTestKeep();
  let source = 0;
  const text = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 120 }),
    fc
      .tuple(fc.constantFrom('__proto__', 'constructor', 'toString', 'ada', ''), fc.string())
      .map(([n, p]) => basic(n, p)),
    fc.string({ maxLength: 60 }).map((token) => `Bearer ${token}`),
  );
  await fc.assert(
    fc.asyncProperty(text, async (header) => {
      source++;
      const problem = await refusal(
        keep,
        header,
        `10.${source >> 16}.${(source >> 8) & 255}.${source & 255}`,
      );
      return problem.code === 'identity.unauthenticated' || problem.code === 'identity.throttled';
    }),
    { numRuns: 500 },
  );
});

test('no credential appears in a problem or its causes', async () => {
  const keep = await createTestKeep();
  const { key, text } = await keep.identity.apiKeys.create({ owner: 'user:ada' }, 'usr_x');
  await keep.identity.apiKeys.revoke(key.id);
  for (const header of [basic('ada', 'planted-secret'), `Bearer ${text.reveal()}`]) {
    for (let error: unknown = await refusal(keep, header); error instanceof Error; error = error.cause) {
      const printed = `${error.message} ${JSON.stringify(error)} ${inspect(error)}`;
      assert.ok(!printed.includes('planted-secret') && !printed.includes(text.reveal()));
    }
  }
});

async function refusal(
  { identity }: TestKeep,
  header: string | undefined,
  address = HOME.address,
): Promise<Problem> {
  try {
    await identity.authenticator.authenticate(header, { address });
  } catch (error) {
    if (isProblem(error)) return error;
    throw error;
  }
  throw new Error('the credential was accepted');
}

function failureOf(problem: Problem): AuthenticationFailure {
  assert.ok(problem.cause instanceof AuthenticationFailure);
  return problem.cause;
}
