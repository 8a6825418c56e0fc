import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createManualClock, type ManualClock } from '../../kernel/clock.ts';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { decryptDetached, decryptStream, encryptDetached, encryptStream } from '../age/age.ts';
import { generateIdentity, recipientOf } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, streamOf, temporaryDirectory } from '../testing.ts';
import type { ManagedKeyRing } from './key-ring.ts';
import { ringProblems } from './problems.ts';
import { createKeyRing, type KeyRingOptions, openKeyRing, SEAL_USES_MAX } from './sealed-key-ring.ts';

const DAY_MS = 86_400_000;

test('a rotation is seen at once, and what the old version sealed still opens', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.create('k', 'wrap');
  const old = ring.recipient('k');
  const { header, payload } = encryptDetached([old.recipient], streamOf(Buffer.from('weights')));
  options.clock.advance(DAY_MS);
  await ring.rotate('k');
  const fresh = ring.recipient('k');
  assert.deepEqual([old.version, fresh.version], [1, 2]);
  assert.notEqual(old.recipient, fresh.recipient);
  const identities = [ring.identity('k', 1)];
  assert.equal((await collect(decryptDetached({ header, payload, identities }))).toString(), 'weights');
  const [first, second] = (await openKeyRing(options)).find('k')?.versions ?? [];
  assert.deepEqual([first?.state, first?.stateSince], ['decrypt-only', options.clock.now()]);
  assert.deepEqual([second?.state, second?.createdAt], ['active', options.clock.now()]);
  await ring.close();
});

test('every purpose rotates, and a signing key neither by time nor because it was stolen', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  for (const purpose of ['wrap', 'seal', 'mac', 'sign'] as const) {
    await ring.create(purpose, purpose);
    await ring.rotate(purpose);
    assert.equal(ring.find(purpose)?.versions.length, 2);
  }
  await ring.create('log', 'sign');
  const { key } = ring.signingKey('log');
  for (const attempt of [
    ring.setState('log', 1, 'compromised'),
    ring.setRotateDays('log', 30),
    ring.create('other', 'sign', { rotateDays: 30 }),
  ]) {
    await rejects(attempt, ringProblems.rotation_refused);
  }
  assert.ok(ring.signingKey('log').key.equals(key));
  assert.equal(ring.find('other'), undefined);
});

test('a key is created once, with its period', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  await ring.create('a', 'seal', { rotateDays: 30 });
  await ring.create('b', 'wrap', { rotateDays: null });
  await rejects(ring.create('a', 'seal'), ringProblems.key_exists);
  await rejects(ring.create('A', 'seal'), cryptoProblems.key_unavailable);
  await assert.rejects(ring.create('c', 'seal', { rotateDays: 0 }), RangeError);
  await ring.setRotateDays('b', 7);
  assert.deepEqual(
    ring.list().map(({ name, rotateDays }) => [name, rotateDays]),
    [
      ['a', 30],
      ['b', 7],
    ],
  );
});

test('a compromised version opens only for those who ask for it by name', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  for (const purpose of ['wrap', 'seal', 'mac'] as const) {
    await ring.create(purpose, purpose);
    await ring.rotate(purpose);
    await ring.setState(purpose, 1, 'compromised');
  }
  const asks = [
    (use?: { compromised: boolean }) => ring.identity('wrap', 1, use),
    (use?: { compromised: boolean }) => ring.sealKey('seal', 1, use),
    (use?: { compromised: boolean }) => ring.macKey('mac', 1, use),
  ];
  for (const ask of asks) {
    throws(() => ask(), ringProblems.key_compromised);
    assert.ok(ask({ compromised: true }));
  }
  await ring.setState('wrap', 1, 'decrypt-only');
  assert.match(ring.identity('wrap', 1), /^AGE-SECRET-KEY-1/);
});

test('marking the active version makes a new active one in the same write', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  await ring.create('k', 'mac');
  const generation = ring.generation();
  await ring.setState('k', 1, 'compromised');
  assert.equal(ring.generation(), generation + 1);
  assert.deepEqual(
    ring.find('k')?.versions.map(({ state }) => state),
    ['compromised', 'active'],
  );
  assert.equal(ring.macKey('k').version, 2);
  await rejects(ring.setState('k', 2, 'decrypt-only'), ringProblems.key_version_active);
});

test('a destroyed version is gone from the ring and from the disk', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.create('k', 'wrap');
  const secret = ring.identity('k', 1);
  await rejects(ring.destroy('k', 1), ringProblems.key_version_active);
  await ring.rotate('k');
  assert.ok((await contentOf(options)).includes(secret));
  await ring.destroy('k', 1);
  throws(() => ring.identity('k', 1), cryptoProblems.key_unavailable);
  throws(() => ring.identity('k', 1, { compromised: true }), cryptoProblems.key_unavailable);
  assert.ok(!(await contentOf(options)).includes(secret));
  assert.ok(!(await contentOf(options)).includes('AGE-SECRET-KEY-1'.concat(secret.slice(16, 40))));
  await rejects(ring.setState('k', 1, 'decrypt-only'), cryptoProblems.key_unavailable);
  const generation = ring.generation();
  await ring.destroy('k', 1);
  assert.equal(ring.generation(), generation, 'a second time is not a write');
  assert.equal((await openKeyRing(options)).find('k')?.versions[0]?.state, 'destroyed');
  await rejects(ring.destroy('k', 3), cryptoProblems.key_unavailable);
  await rejects(ring.destroy('none', 1), cryptoProblems.key_unavailable);
});

test('of two writers with the ring open, the second is refused and neither loses a key', async (t) => {
  const options = await ringOptions(t);
  const one = await createKeyRing(options);
  await one.create('k', 'wrap');
  const two = await openKeyRing(options);
  await one.rotate('k');
  for (const attempt of [
    () => two.rotate('k'),
    () => two.setState('k', 1, 'compromised'),
    () => two.create('other', 'mac'),
  ]) {
    await rejects(attempt(), cryptoProblems.keyring_conflict);
  }
  assert.deepEqual(two.find('k')?.versions.length, 1);
  assert.equal((await openKeyRing(options)).find('k')?.versions.length, 2);
});

test('another content of the same generation is a conflict too', async (t) => {
  const options = await ringOptions(t);
  const one = await createKeyRing(options);
  const copy = await readFile(options.path);
  await one.create('mine', 'mac');
  const mine = await readFile(options.path);
  await writeFile(options.path, copy);
  const two = await openKeyRing(options);
  await two.create('theirs', 'mac');
  assert.equal(one.generation(), two.generation());
  await rejects(one.rotate('mine'), cryptoProblems.keyring_conflict);
  assert.notDeepEqual(await readFile(options.path), mine);
});

test('uses are counted while the ring is open and are exact after it was closed', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.create('k', 'wrap');
  for (let use = 0; use < 5; use++) ring.recipient('k');
  ring.identity('k', 1);
  await written(ring);
  assert.equal(ring.find('k')?.versions[0]?.uses, 5);
  await ring.close();
  const again = await openKeyRing(options);
  assert.equal(again.find('k')?.versions[0]?.uses, 5);
  again.recipient('k');
  await again.rotate('k');
  assert.deepEqual(
    again.find('k')?.versions.map(({ uses }) => uses),
    [6, 0],
  );
  await again.close();
});

test('a crash leaves a count that is not less than what was shown', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.create('k', 'seal');
  for (let round = 0; round < 6; round++) {
    for (let use = 0; use < 700; use++) ring.sealKey('k');
    if (round % 2 === 1) await written(ring);
    const shown = ring.find('k')?.versions[0]?.uses ?? 0;
    // Another process opens the file as it is now, as after a kill.
    const after = (await openKeyRing(options)).find('k')?.versions[0]?.uses ?? 0;
    assert.ok(after >= shown, `${after} after ${shown}`);
  }
  await written(ring);
  assert.equal(ring.find('k')?.versions[0]?.uses, 4200);
  const { generation } = JSON.parse(await contentOf(options)) as { generation: number };
  assert.ok(generation < 14, `${generation} writes for 4200 uses`);
});

test('a count is nobody’s effect: it is written outside the context that caused it', async (t) => {
  const ring = await createKeyRing(await ringOptions(t));
  await ring.create('k', 'wrap');
  const context = new AsyncLocalStorage<string>();
  const seen: (string | undefined)[] = [];
  ring.onWrite(async () => void seen.push(context.getStore()));
  await context.run('request', async () => {
    ring.recipient('k');
    await written(ring);
    await ring.rotate('k');
  });
  assert.deepEqual(seen, [undefined, 'request']);
});

test('a seal key is refused at the limit of its nonces, and serves again after a rotation', async (t) => {
  const options = await ringOptions(t);
  await (await createKeyRing(options)).create('k', 'seal');
  const document = JSON.parse(await contentOf(options)) as { keys: { k: { versions: { uses: number }[] } } };
  const [version] = document.keys.k.versions;
  assert.ok(version);
  version.uses = SEAL_USES_MAX - 1;
  await seal(options, document);
  const ring = await openKeyRing(options);
  ring.sealKey('k');
  throws(() => ring.sealKey('k'), ringProblems.key_exhausted);
  assert.ok(ring.sealKey('k', 1).key, 'what it has sealed still opens');
  await ring.rotate('k');
  assert.equal(ring.sealKey('k').version, 2);
  await ring.close();
});

test('a ring of format 1 is read, and written as format 2 with the first change', async (t) => {
  const options = await ringOptions(t);
  const material = () => randomBytes(32).toString('base64');
  const versions = (...states: string[]) =>
    states.map((state, index) => ({ version: index + 1, createdAt: 5, state, material: material() }));
  const keys = {
    a: { purpose: 'mac', versions: versions('active', 'active', 'compromised') },
    log: { purpose: 'sign', versions: versions('active') },
  };
  await seal(options, { v: 1, generation: 4, keys });
  const ring = await openKeyRing(options);
  const fileBefore = await readFile(options.path);
  assert.equal(ring.macKey('a').version, 2);
  assert.deepEqual(
    ring.find('a')?.versions.map(({ state }) => state),
    ['decrypt-only', 'active', 'compromised'],
  );
  assert.deepEqual(await readFile(options.path), fileBefore, 'reading writes nothing');
  await ring.rotate('a');
  const written = JSON.parse(await contentOf(options)) as { v: number; generation: number };
  assert.deepEqual([written.v, written.generation], [2, 5]);
  assert.equal((await openKeyRing(options)).macKey('a').version, 4);
});

test('a change that cannot be written changes nothing, and the next one can', async (t) => {
  const options = await ringOptions(t);
  const ring = await createKeyRing(options);
  await ring.create('k', 'wrap');
  const whole = await readFile(options.path);
  await writeFile(options.path, whole.subarray(0, 10));
  await rejects(ring.rotate('k'), cryptoProblems.keyring_corrupt);
  assert.equal(ring.find('k')?.versions.length, 1);
  await writeFile(options.path, whole);
  await ring.rotate('k');
  assert.equal(ring.recipient('k').version, 2);
  await ring.close();
  await assert.rejects(ring.rotate('k'), /closed/);
});

async function ringOptions(t: TestContext): Promise<KeyRingOptions & { readonly clock: ManualClock }> {
  const path = join(await temporaryDirectory(t), 'keyring.age');
  return { path, rootIdentity: new Secret(generateIdentity().identity), clock: createManualClock() };
}

async function contentOf({ path, rootIdentity }: KeyRingOptions): Promise<string> {
  const identities = [rootIdentity.reveal()];
  return (await collect(decryptStream(streamOf(await readFile(path)), { identities }))).toString();
}

async function seal({ path, rootIdentity }: KeyRingOptions, document: unknown): Promise<void> {
  const recipients = [recipientOf(rootIdentity.reveal())];
  const source = streamOf(Buffer.from(JSON.stringify(document)));
  await writeFile(path, await collect(encryptStream(source, { recipients })));
}

/** Changes follow each other, so this one, which changes nothing, ends after what was written in the background. */
async function written(ring: ManagedKeyRing): Promise<void> {
  await ring.ensure('k', ring.find('k')?.purpose ?? 'wrap');
}

function throws(work: () => unknown, definition: ProblemDefinition): void {
  assert.throws(work, (error) => isProblem(error, definition));
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition): Promise<void> {
  await assert.rejects(promise, (error) => isProblem(error, definition));
}
