import assert from 'node:assert/strict';
import { createHmac, createPublicKey, sign, verify } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { decryptDetached, decryptStream, encryptDetached, encryptStream } from '../age/age.ts';
import { generateIdentity, recipientOf } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { createKeyRing, type KeyRingOptions, openKeyRing } from './sealed-key-ring.ts';
import { collect, streamOf, temporaryDirectory } from '../testing.ts';

test('a new ring is empty, private, and opens again', async (t) => {
  const options = await ringOptions(t);
  assert.deepEqual((await createKeyRing(options)).list(), []);
  assert.equal((await stat(options.path)).mode & 0o777, 0o600);
  assert.deepEqual((await openKeyRing(options)).list(), []);
});

test('a ring is made only when asked, and never over another', async (t) => {
  const options = await ringOptions(t);
  await rejects(openKeyRing(options), cryptoProblems.keyring_missing);
  await (await createKeyRing(options)).ensure('cookie', 'mac');
  await rejects(createKeyRing(options), cryptoProblems.keyring_exists);
  assert.equal((await openKeyRing(options)).list().length, 1);
});

test('keys of each purpose work, and are the same after opening again', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await Promise.all([
    ring.ensure('artifacts', 'wrap'),
    ring.ensure('api-keys', 'mac'),
    ring.ensure('log', 'sign'),
    ring.ensure('notes', 'seal'),
  ]);
  const again = await openKeyRing(options);

  const { version, recipient } = ring.recipient('artifacts');
  const { header, payload } = encryptDetached([recipient], streamOf(Buffer.from('weights')));
  const identities = [again.identity('artifacts', version)];
  assert.equal((await collect(decryptDetached({ header, payload, identities }))).toString(), 'weights');

  const mac = (of: typeof ring) => createHmac('sha256', of.macKey('api-keys').key).update('x').digest('hex');
  assert.equal(mac(ring), mac(again));

  const signature = sign(null, Buffer.from('head'), ring.signingKey('log').key);
  assert.ok(verify(null, Buffer.from('head'), createPublicKey(again.signingKey('log', 1).key), signature));
  const mlDsa = (of: typeof ring) => of.signingKey('log', 1, { algorithm: 'ml-dsa-44' }).key;
  assert.deepEqual(
    [ring.signingKey('log').key, mlDsa(ring)].map(({ asymmetricKeyType }) => asymmetricKeyType as string),
    ['ed25519', 'ml-dsa-44'],
  );
  assert.ok(
    verify(
      null,
      Buffer.from('head'),
      createPublicKey(mlDsa(again)),
      sign(null, Buffer.from('head'), mlDsa(ring)),
    ),
  );

  assert.ok(ring.sealKey('notes').key.equals(again.sealKey('notes', 1).key));
  assert.equal(ring.sealKey('notes').key.symmetricKeySize, 32);

  const createdAt = options.clock.now();
  await ring.close();
  const versions = [{ version: 1, createdAt, state: 'active', stateSince: createdAt, uses: 0 }];
  assert.deepEqual(again.list(), [
    { name: 'artifacts', purpose: 'wrap', rotateDays: 90, versions },
    { name: 'api-keys', purpose: 'mac', rotateDays: null, versions },
    { name: 'log', purpose: 'sign', rotateDays: null, versions },
    { name: 'notes', purpose: 'seal', rotateDays: 90, versions },
  ]);
});

test('ensuring a key twice keeps the first; another purpose or a bad name is refused', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await Promise.all([ring.ensure('k', 'wrap'), ring.ensure('k', 'wrap')]);
  const first = ring.identity('k', 1);
  await ring.ensure('k', 'wrap');
  assert.equal(ring.identity('k', 1), first);
  await rejects(ring.ensure('k', 'mac'), cryptoProblems.key_unavailable);
  for (const name of ['', 'K', 'a/b', '__proto__', 'x'.repeat(64)]) {
    await rejects(ring.ensure(name, 'mac'), cryptoProblems.key_unavailable);
  }
  await ring.ensure('after', 'mac');
  assert.equal((await openKeyRing(options)).list().length, 2);
});

test('a key that is not there, or has another purpose, is not available', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  await ring.ensure('k', 'wrap');
  const unavailable = (error: unknown) => isProblem(error, cryptoProblems.key_unavailable);
  assert.throws(() => ring.identity('k', 2), unavailable);
  assert.throws(() => ring.macKey('k'), unavailable);
  assert.throws(() => ring.recipient('none'), unavailable);
  assert.throws(() => ring.signingKey('toString'), unavailable);
});

test('the active version is the newest active one; a destroyed one is not available', async (t) => {
  const options = await ringOptions(t);
  const material = () => generateIdentity().identity;
  const [one, two] = [material(), material()];
  const version = (number: number, state: string, secret?: string) => ({
    version: number,
    createdAt: 1,
    state,
    ...(secret && { material: secret }),
  });
  const versions = [version(1, 'destroyed'), version(2, 'active', one), version(3, 'decrypt-only', two)];
  await seal(options, { v: 1, generation: 9, keys: { k: { purpose: 'wrap', versions } } });
  const ring = await openKeyRing(options);
  assert.deepEqual(ring.recipient('k'), { version: 2, recipient: recipientOf(one) });
  await ring.close();
  assert.equal(ring.identity('k', 3), two);
  assert.throws(
    () => ring.identity('k', 1),
    (error) => isProblem(error, cryptoProblems.key_unavailable),
  );
});

test('another root key is told as such, not as damage', async (t) => {
  const options = await ringOptions(t);
  await createKeyRing(options);
  const rootIdentity = new Secret(generateIdentity().identity);
  await rejects(openKeyRing({ ...options, rootIdentity }), cryptoProblems.wrong_root_key);
});

test('a damaged ring is refused', async (t) => {
  const options = await ringOptions(t);
  await (await createKeyRing(options)).ensure('k', 'mac');
  const whole = await readFile(options.path);
  for (const at of [3, whole.indexOf('--- ') + 10, whole.length - 1]) {
    const changed = Buffer.from(whole);
    changed[at] = (changed[at] as number) ^ 1;
    await writeFile(options.path, changed);
    await rejects(openKeyRing(options), cryptoProblems.keyring_corrupt);
  }
  for (const length of [0, 50, whole.length - 1]) {
    await writeFile(options.path, whole.subarray(0, length));
    await rejects(openKeyRing(options), cryptoProblems.keyring_corrupt);
  }
});

test('a document of another form is refused without quoting a key', async (t) => {
  const options = await ringOptions(t);
  const secret = Buffer.alloc(32, 'S').toString('base64');
  const version = { version: 1, createdAt: 1, state: 'active', material: secret };
  const ring = (change: object, key: object = {}) => ({
    v: 1,
    generation: 1,
    keys: { k: { purpose: 'mac', versions: [{ ...version, ...key }] } },
    ...change,
  });
  const cases: readonly unknown[] = [
    secret,
    null,
    {},
    ring({ v: 0 }),
    ring({ generation: 0 }),
    ring({ extra: 1 }),
    ring({}, { version: 2 }),
    ring({}, { material: secret.slice(4) }),
    ring({}, { material: undefined }),
    ring({}, { state: 'destroyed' }),
    ring({}, { state: 'new' }),
    ring({ keys: { k: { purpose: 'wrap', versions: [version] } } }),
    ring({ keys: { 'a/b': { purpose: 'mac', versions: [version] } } }),
  ];
  for (const document of cases) {
    await seal(options, document);
    const problem = await rejects(openKeyRing(options), cryptoProblems.keyring_corrupt);
    assert.ok(
      !JSON.stringify(problem).includes('U1NT') && problem.cause === undefined,
      JSON.stringify(document),
    );
  }
  await seal(options, ring({}));
  await openKeyRing(options);
});

test('a newer format is refused as newer', async (t) => {
  const options = await ringOptions(t);
  await seal(options, { v: 3, rings: [] });
  await rejects(openKeyRing(options), cryptoProblems.keyring_newer);
});

test('a change over another process’s change is refused, and loses neither', async (t) => {
  const options = await ringOptions(t);
  const one = await createKeyRing(options);
  const two = await openKeyRing(options);
  await one.ensure('first', 'mac');
  await rejects(two.ensure('second', 'mac'), cryptoProblems.keyring_conflict);
  assert.deepEqual(two.list(), []);
  assert.deepEqual(
    (await openKeyRing(options)).list().map(({ name }) => name),
    ['first'],
  );
});

test('each write raises the generation and leaves one file', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.ensure('a', 'mac');
  await ring.ensure('b', 'sign');
  const identities = [options.rootIdentity.reveal()];
  const text = await collect(decryptStream(streamOf(await readFile(options.path)), { identities }));
  assert.equal((JSON.parse(text.toString()) as { generation: number }).generation, 3);
  assert.deepEqual(await readdir(join(options.path, '..')), ['keyring.age']);
});

test('a ring that was damaged meanwhile is not written over', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await writeFile(options.path, 'not a ring');
  await rejects(ring.ensure('k', 'mac'), cryptoProblems.keyring_corrupt);
  assert.deepEqual(ring.list(), []);
  assert.equal(await readFile(options.path, 'utf8'), 'not a ring');
});

async function ringOptions(t: TestContext): Promise<KeyRingOptions> {
  const path = join(await temporaryDirectory(t), 'keyring.age');
  return { path, rootIdentity: new Secret(generateIdentity().identity), clock: createManualClock() };
}

async function seal({ path, rootIdentity }: KeyRingOptions, document: unknown): Promise<void> {
  const recipients = [recipientOf(rootIdentity.reveal())];
  await writeFile(
    path,
    await collect(encryptStream(streamOf(Buffer.from(JSON.stringify(document))), { recipients })),
  );
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), String(error));
  return error;
}
