import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmod, readFile, rename, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { inspect } from 'node:util';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity, recipientOf } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { temporaryDirectory } from '../testing.ts';
import { createRootKeyProvider } from './create-provider.ts';
import { rootKeyId } from './root-key-provider.ts';
import { rejects, rootKeyOptions, testDeps } from './testing.ts';

const PASSPHRASE = 'seven small owls count the windows';

test('file: what is made is opened; a rotation moves it to the previous slot', async (t) => {
  const home = await temporaryDirectory(t);
  const provider = createRootKeyProvider(rootKeyOptions({}), testDeps(home));
  const made = await provider.initialise();
  assert.equal(made.id, rootKeyId(recipientOf(made.identity.reveal())));
  const before = await provider.open();
  assert.deepEqual([before.current.id, await before.previous()], [made.id, undefined]);
  await rejects(provider.initialise(), cryptoProblems.root_key_exists);

  const next = await provider.rotate?.();
  const after = await provider.open();
  assert.equal(after.current.id, next?.id);
  assert.equal((await after.previous())?.identity.reveal(), made.identity.reveal());
  for (const name of ['root.key', 'root.key.previous'])
    assert.equal((await stat(join(home, name))).mode & 0o777, 0o600);
});

test('file: a second rotation before the first was used would lose a key, and is refused', async (t) => {
  const home = await temporaryDirectory(t);
  const provider = createRootKeyProvider(rootKeyOptions({}), testDeps(home));
  await provider.initialise();
  await provider.rotate?.();
  const texts = () =>
    Promise.all(['root.key', 'root.key.previous'].map((name) => readFile(join(home, name), 'utf8')));
  const kept = await texts();
  const again = provider.rotate?.() ?? assert.fail('a file can be rotated');
  const problem = await rejects(again, cryptoProblems.root_key_exists);
  assert.match(problem.detail, /root\.key\.previous/);
  assert.deepEqual(await texts(), kept);
});

test('file: a rotation that was killed between its two steps is taken up again', async (t) => {
  const home = await temporaryDirectory(t);
  const provider = createRootKeyProvider(rootKeyOptions({}), testDeps(home));
  const made = await provider.initialise();
  await writeFile(join(home, 'root.key.previous'), await readFile(join(home, 'root.key')), { mode: 0o600 });
  await provider.rotate?.();
  assert.equal((await (await provider.open()).previous())?.id, made.id);
});

test('file: a previous key that others may read is refused, as the current one is', async (t) => {
  const home = await temporaryDirectory(t);
  const provider = createRootKeyProvider(rootKeyOptions({}), testDeps(home));
  await provider.initialise();
  await provider.rotate?.();
  await chmod(join(home, 'root.key.previous'), 0o644);
  await rejects((await provider.open()).previous(), cryptoProblems.root_key_exposed);
  await chmod(join(home, 'root.key'), 0o640);
  await rejects(provider.open(), cryptoProblems.root_key_exposed);
  assert.deepEqual((await provider.check()).ready, false);
});

test('credentials: read where systemd put them, with the mode that its access lists show', async (t) => {
  const directory = await temporaryDirectory(t);
  const deps = { ...testDeps('/none'), credentialsDirectory: directory };
  const provider = createRootKeyProvider(rootKeyOptions({ provider: 'credentials' }), deps);
  await rejects(provider.open(), cryptoProblems.root_key_missing);
  const { identity, recipient } = generateIdentity();
  const path = join(directory, 'root.key');
  for (const [text, mode] of [
    [identity, 0o400],
    [`${identity}\n`, 0o440],
    [`# made today\n${identity}\r\n`, 0o600],
  ] as const) {
    await writeFile(path, text);
    await chmod(path, mode);
    assert.equal((await provider.open()).current.id, rootKeyId(recipient));
    await chmod(path, 0o600);
  }
  assert.equal((await provider.initialise()).id, rootKeyId(recipient));
  assert.equal(await (await provider.open()).previous(), undefined);
  assert.equal((await provider.check()).ready, true);

  for (const mode of [0o444, 0o604, 0o660]) {
    await chmod(path, mode);
    await rejects(provider.open(), cryptoProblems.root_key_exposed);
  }
  await rename(path, join(directory, 'elsewhere'));
  await symlink(join(directory, 'elsewhere'), path);
  await rejects(provider.open(), cryptoProblems.root_key_exposed);
  assert.ok(!('rotate' in provider), 'the operator sets both credentials');
});

test('credentials: without a directory the message says how to have one', async () => {
  const provider = createRootKeyProvider(rootKeyOptions({ provider: 'credentials' }), testDeps('/none'));
  const problem = await rejects(provider.open(), cryptoProblems.root_key_missing);
  assert.match(problem.detail, /LoadCredential=/);
});

test('environment: an identity or 32 bytes, with a line end or without; taken away and warned about', async () => {
  const scalar = randomBytes(32);
  const { identity, recipient } = generateIdentity();
  const ids = new Set<string>();
  for (const value of [
    identity,
    `${identity}\n`,
    `base64:${scalar.toString('base64')}`,
    `base64:${scalar.toString('base64')}\n`,
    `hex:${scalar.toString('hex')}`,
    `hex:${scalar.toString('hex').toUpperCase()}`,
  ]) {
    const deps = testDeps('/none', { MODELKEEP_ROOT_KEY: value });
    const provider = createRootKeyProvider(rootKeyOptions({ provider: 'environment' }), deps);
    const opened = await provider.open();
    ids.add(opened.current.id);
    assert.deepEqual(deps.events, ['warn root_key.in_environment']);
    assert.deepEqual(deps.taken, ['MODELKEEP_ROOT_KEY', 'MODELKEEP_ROOT_KEY_PREVIOUS']);
    const shown = inspect([opened, deps.fields, provider.describe()], { depth: 10 });
    assert.ok(!shown.includes(opened.current.identity.reveal()) && !shown.includes(value.trim()));
  }
  assert.equal(ids.size, 2);
  assert.ok(ids.has(rootKeyId(recipient)));
});

test('environment: what is not a key is refused without being quoted', async () => {
  const hex = randomBytes(32).toString('hex');
  for (const value of [
    '',
    'a passphrase by mistake',
    `hex:${hex.slice(2)}`,
    `hex:${hex}00`,
    `hex: ${hex}`,
    `base64:${hex}`,
    `base64:${Buffer.from(hex, 'hex').toString('base64').replace('=', '')}`,
    `${generateIdentity().identity}\n${generateIdentity().identity}`,
    `hex:${hex}\n\n`,
  ]) {
    const deps = testDeps('/none', { K: value });
    const environment = { variable: 'K', previousVariable: 'P' };
    const provider = createRootKeyProvider(rootKeyOptions({ provider: 'environment', environment }), deps);
    await rejects(provider.open(), cryptoProblems.root_key_malformed, [
      hex.slice(4, 40),
      'a passphrase by mistake',
    ]);
  }
  const weak = testDeps('/none', { MODELKEEP_ROOT_KEY: `hex:${'00'.repeat(32)}` });
  const provider = createRootKeyProvider(rootKeyOptions({ provider: 'environment' }), weak);
  await rejects(provider.open(), cryptoProblems.root_key_weak);
  const unset = createRootKeyProvider(rootKeyOptions({ provider: 'environment' }), testDeps('/none'));
  await rejects(unset.open(), cryptoProblems.root_key_missing);
});

const byReference = rootKeyOptions({ provider: 'passphrase', passphrase: { passphrase: 'env:NOW' } });

test('passphrase: gives the same key each time, whatever the line end and the composition of its characters', async (t) => {
  const home = await temporaryDirectory(t);
  const open = (value: string) => createRootKeyProvider(byReference, testDeps(home, { NOW: value }));
  const passphrase = 'café au lait, every morning';
  const made = await open(passphrase.normalize('NFC')).initialise();
  assert.equal((await open(`${passphrase.normalize('NFD')}\n`).open()).current.id, made.id);
  const wrong = open('cafe au lait, every morning');
  await rejects(wrong.open(), cryptoProblems.wrong_root_key, ['au lait']);
  const stored = await readFile(join(home, 'root.params'), 'utf8');
  assert.ok(!stored.includes('au lait') && !stored.includes('AGE-SECRET'));
  const { memoryKiB, passes, parallelism } = JSON.parse(stored) as Record<string, number>;
  assert.deepEqual([memoryKiB, passes, parallelism], [65536, 3, 4]);
});

test('passphrase: a short one makes no keep', async (t) => {
  const provider = createRootKeyProvider(
    byReference,
    testDeps(await temporaryDirectory(t), { NOW: 'too short' }),
  );
  await rejects(provider.initialise(), cryptoProblems.root_key_weak, ['too short']);
  await rejects(provider.open(), cryptoProblems.root_key_missing);
});

test('passphrase: rotated to another, the one before still opens', async (t) => {
  const home = await temporaryDirectory(t);
  const made = await createRootKeyProvider(byReference, testDeps(home, { NOW: PASSPHRASE })).initialise();
  const options = rootKeyOptions({
    provider: 'passphrase',
    passphrase: { passphrase: 'env:NOW', previousPassphrase: 'env:BEFORE' },
  });
  const deps = testDeps(home, { NOW: 'a new sentence of several words', BEFORE: PASSPHRASE });
  const provider = createRootKeyProvider(options, deps);
  const next = await provider.rotate?.();
  const opened = await provider.open();
  assert.equal(opened.current.id, next?.id);
  assert.equal((await opened.previous())?.id, made.id);
});

test('passphrase: asked for on the terminal, once for each opening of the keep', async (t) => {
  const home = await temporaryDirectory(t);
  const asked: string[] = [];
  const askPassphrase = async (message: string) => {
    asked.push(message);
    return new Secret(PASSPHRASE);
  };
  const options = rootKeyOptions({ provider: 'passphrase' });
  const provider = createRootKeyProvider(options, { ...testDeps(home), askPassphrase });
  const made = await provider.initialise();
  assert.equal((await provider.open()).current.id, made.id);
  assert.deepEqual(asked, ['passphrase of the root key']);
  const problem = await rejects(
    createRootKeyProvider(options, testDeps(home)).open(),
    cryptoProblems.root_key_missing,
  );
  assert.match(problem.detail, /rootKey\.passphrase\.passphrase/);
});

test('passphrase: parameters that would cost the machine its memory are refused before any is taken', async (t) => {
  const home = await temporaryDirectory(t);
  const provider = createRootKeyProvider(byReference, testDeps(home, { NOW: PASSPHRASE }));
  await provider.initialise();
  const path = join(home, 'root.params');
  const good = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  for (const change of [
    { memoryKiB: 1024 * 1024 + 1 },
    { memoryKiB: 7 },
    { memoryKiB: 16, parallelism: 4 },
    { memoryKiB: 65536.5 },
    { passes: 17 },
    { passes: 0 },
    { parallelism: 17 },
    { salt: 'c2hvcnQ=' },
    { salt: `${String(good['salt'])}\n` },
    { kdf: 'argon2i' },
    { v: 2 },
    { extra: 1 },
    { recipient: 'age1nobody' },
  ]) {
    await writeFile(path, JSON.stringify({ ...good, ...change }));
    await rejects(provider.open(), cryptoProblems.root_key_params);
    assert.equal((await provider.check()).ready, false);
  }
  for (const text of ['', 'null', '[]', '{"v":1,"v":1}']) {
    await writeFile(path, text);
    await rejects(provider.open(), cryptoProblems.root_key_params);
  }
  await writeFile(path, JSON.stringify({ ...good, salt: Buffer.alloc(16, 1).toString('base64') }));
  await rejects(provider.open(), cryptoProblems.wrong_root_key);
  await chmod(path, 0o644);
  await rejects(provider.open(), cryptoProblems.root_key_exposed);
});

test('a keep moves from one provider to another by naming the one before', async (t) => {
  const home = await temporaryDirectory(t);
  const made = await createRootKeyProvider(rootKeyOptions({}), testDeps(home)).initialise();
  const { identity, recipient } = generateIdentity();
  const deps = testDeps(home, { MODELKEEP_ROOT_KEY: identity });
  const options = rootKeyOptions({ provider: 'environment', previousProvider: 'file' });
  const { current, previous } = await createRootKeyProvider(options, deps).open();
  assert.equal(current.id, rootKeyId(recipient));
  assert.equal((await previous())?.id, made.id);
});
