import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { Decrypter, Encrypter } from 'age-encryption';
import { rewrapHeader } from '../../src/crypto/age/detached.ts';
import { readHeader } from '../../src/crypto/age/header.ts';
import { parseIdentityFile, parseRecipientFile } from '../../src/crypto/age/key-file.ts';
import { generateIdentity, recipientOf } from '../../src/crypto/age/keys.ts';
import { createReader } from '../../src/crypto/age/reader.ts';
import { decryptFile, encryptFile } from '../../src/crypto/engine/files.ts';
import { createKeyRing } from '../../src/crypto/ring/sealed-key-ring.ts';
import { createRootKeyFile } from '../../src/crypto/root-key/root-key-file.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Secret } from '../../src/kernel/secret.ts';

/** The reference implementation of age, in Go, as Debian packages it: `apt-get install age`. */

const run = promisify(execFile);
const present = await run('age', ['--version']).then(
  () => true,
  () => false,
);
const MISSING = 'age is not installed; apt-get install age';

const SIZES = [0, 1, 65535, 65536, 65537, 3_000_000];

test('age reads what we encrypt, binary and armored', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const { identity, recipient } = generateIdentity();
  await writeFile(at('key'), `${identity}\n`, { mode: 0o600 });
  for (const size of SIZES) {
    for (const armor of [false, true]) {
      const content = randomBytes(size);
      await writeFile(at('plain'), content);
      const recipients = [generateIdentity().recipient, recipient];
      await encryptFile({ input: at('plain'), output: at('sealed'), recipients, armor, force: true });
      const reading = { encoding: 'buffer', maxBuffer: 2 * content.length + 1 } as const;
      const { stdout } = await run('age', ['-d', '-i', at('key'), at('sealed')], reading);
      assert.equal(digest(stdout), digest(content), `${size} bytes, armor ${armor}`);
    }
  }
});

test('we read what age encrypts, binary and armored', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  await run('age-keygen', ['-o', at('key')]);
  const identity = /AGE-SECRET-KEY-\w+/.exec(await readFile(at('key'), 'utf8'))?.[0] as string;
  assert.equal((await run('age-keygen', ['-y', at('key')])).stdout.trim(), recipientOf(identity));
  for (const size of SIZES) {
    for (const armor of [[], ['-a']]) {
      const content = randomBytes(size);
      await writeFile(at('plain'), content);
      await run('age', ['-r', recipientOf(identity), ...armor, '-o', at('sealed'), at('plain')]);
      await decryptFile({ input: at('sealed'), output: at('opened'), identities: [identity], force: true });
      assert.equal(digest(await readFile(at('opened'))), digest(content), `${size} bytes ${armor.join('')}`);
    }
  }
});

test('age refuses what we flip a bit of', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const { identity, recipient } = generateIdentity();
  await writeFile(at('key'), identity, { mode: 0o600 });
  await writeFile(at('plain'), 'hello');
  await encryptFile({ input: at('plain'), output: at('sealed'), recipients: [recipient] });
  const sealed = await readFile(at('sealed'));
  sealed[sealed.length - 3] = (sealed.at(-3) as number) ^ 1;
  await writeFile(at('sealed'), sealed);
  await assert.rejects(run('age', ['-d', '-i', at('key'), at('sealed')]), /failed to decrypt/);
});

test('age opens the key ring with the root key file', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const rootIdentity = await createRootKeyFile(at('root.key'));
  const ring = await createKeyRing({ path: at('keyring.age'), rootIdentity, clock: systemClock });
  await ring.ensure('artifacts', 'wrap');
  const { stdout } = await run('age', ['-d', '-i', at('root.key'), at('keyring.age')]);
  const document = JSON.parse(stdout) as { v: number; generation: number; keys: Record<string, unknown> };
  assert.equal(document.v, 2);
  assert.equal(document.generation, 2);
  assert.deepEqual(Object.keys(document.keys), ['artifacts']);
});

test('age reads a pipe that we write', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const { identity, recipient } = generateIdentity();
  await writeFile(at('key'), identity, { mode: 0o600 });
  await writeFile(at('plain'), randomBytes(500_000));
  const age = spawn('age', ['-d', '-i', at('key'), '-o', at('opened')], {
    stdio: ['pipe', 'ignore', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => age.on('close', resolve));
  await encryptFile({ input: at('plain'), output: age.stdin, recipients: [recipient] });
  age.stdin.end();
  assert.equal(await ended, 0);
  assert.ok((await readFile(at('plain'))).equals(await readFile(at('opened'))));
});

const PASSPHRASE = 'correct horse';
const ask = () => Promise.resolve(new Secret(PASSPHRASE));

test('a passphrase file goes both ways', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const content = randomBytes(1000);
  await writeFile(at('plain'), content);
  await onTerminal(['age', '-p', '-o', at('theirs'), at('plain')], [PASSPHRASE, PASSPHRASE]);
  await decryptFile({ input: at('theirs'), output: at('opened'), passphrase: ask });
  assert.ok(content.equals(await readFile(at('opened'))));
  const passphrase = new Secret(PASSPHRASE);
  await encryptFile({ input: at('plain'), output: at('ours'), passphrase, workFactor: 12 });
  await onTerminal(['age', '-d', '-o', at('read'), at('ours')], [PASSPHRASE]);
  assert.ok(content.equals(await readFile(at('read'))));
});

const SSH = join(import.meta.dirname, '..', '..', 'src', 'crypto', 'age', 'testdata', 'ssh');

for (const name of ['ed25519', 'rsa', 'rsa-pkcs1', 'rsa-pkcs8', 'ed25519-locked', 'rsa-locked']) {
  test(`SSH: what is sealed to the key ${name} goes both ways`, async (t) => {
    if (!present) return unreachable(t);
    const at = await workspace(t);
    await sshKey(name, at('key'));
    const publicKey = await readFile(join(SSH, `${name.replace(/-pkcs.*/, '')}.pub`), 'utf8');
    await writeFile(at('key.pub'), publicKey);
    const content = randomBytes(70_000);
    await writeFile(at('plain'), content);
    await run('age', ['-R', at('key.pub'), '-o', at('theirs'), at('plain')]);
    const identities = await parseIdentityFile(await readFile(at('key')), { passphrase: ask });
    await decryptFile({ input: at('theirs'), output: at('opened'), identities });
    assert.ok(content.equals(await readFile(at('opened'))));
    const { recipients } = parseRecipientFile(publicKey);
    await encryptFile({ input: at('plain'), output: at('ours'), recipients });
    const answers = name.endsWith('locked') ? [PASSPHRASE] : [];
    await onTerminal(['age', '-d', '-i', at('key'), '-o', at('read'), at('ours')], answers);
    assert.ok(content.equals(await readFile(at('read'))));
  });
}

test('SSH: keys that ssh-keygen makes today, with its own number of rounds', async (t) => {
  // It has no option that only tells its version: asked anything wrong, it fails, if it is there.
  const keygen = await run('ssh-keygen', ['--version']).catch((error: unknown) => error);
  const missing = (keygen as NodeJS.ErrnoException).code === 'ENOENT';
  if (missing || !present) return unreachable(t, missing ? 'ssh-keygen is not installed' : MISSING);
  const at = await workspace(t);
  for (const [type, ...more] of [['ed25519'], ['rsa', '-b', '3072']] as const) {
    const path = at(type);
    await run('ssh-keygen', ['-q', '-t', type, ...more, '-N', PASSPHRASE, '-f', path]);
    await writeFile(at('plain'), type);
    await run('age', ['-R', `${path}.pub`, '-o', at('sealed'), at('plain')]);
    const identities = await parseIdentityFile(await readFile(path), { passphrase: ask });
    await decryptFile({ input: at('sealed'), output: at('opened'), identities, force: true });
    assert.equal(await readFile(at('opened'), 'utf8'), type);
  }
});

test('an identity file sealed with a passphrase goes both ways', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const { identity, recipient } = generateIdentity();
  await writeFile(at('plain'), `# mine\n${identity}\n`);
  await onTerminal(['age', '-p', '-a', '-o', at('theirs'), at('plain')], [PASSPHRASE, PASSPHRASE]);
  const [own] = await parseIdentityFile(await readFile(at('theirs')), { passphrase: ask });
  assert.equal(own?.recipient, recipient);
  const passphrase = new Secret(PASSPHRASE);
  await encryptFile({ input: at('plain'), output: at('ours'), passphrase, workFactor: 12 });
  await run('age', ['-r', recipient, '-o', at('sealed'), at('plain')]);
  await onTerminal(['age', '-d', '-i', at('ours'), '-o', at('opened'), at('sealed')], [PASSPHRASE]);
  assert.equal(await readFile(at('opened'), 'utf8'), `# mine\n${identity}\n`);
});

test('age reads a payload under the header that we rewrapped for keys of several kinds', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  const [before, after] = [generateIdentity(), generateIdentity()];
  await sshKey('ed25519', at('ssh'));
  await writeFile(at('after'), after.identity);
  await writeFile(at('plain'), 'hello');
  await run('age', ['-r', before.recipient, '-o', at('sealed'), at('plain')]);
  const sealed = await readFile(at('sealed'));
  const header = await readHeader(createReader(Readable.from([sealed])));
  const recipients = [recipientOf(await readFile(at('ssh'), 'utf8')), after.recipient];
  const moved = await rewrapHeader(header, { identities: [before.identity], recipients });
  await writeFile(at('moved'), Buffer.concat([moved, sealed.subarray(header.length)]));
  for (const key of ['ssh', 'after']) {
    assert.equal((await run('age', ['-d', '-i', at(key), at('moved')])).stdout, 'hello');
  }
});

test('post-quantum files go both ways, with age where it knows them and with typage always', async (t) => {
  const at = await workspace(t);
  const { identity, recipient } = generateIdentity({ postQuantum: true });
  const content = randomBytes(70_000);
  await writeFile(at('plain'), content);
  await writeFile(at('key'), identity, { mode: 0o600 });
  await encryptFile({ input: at('plain'), output: at('ours'), recipients: [recipient] });
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  await writeFile(at('theirs'), await encrypter.encrypt(content));
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  assert.ok(content.equals(await decrypter.decrypt(await readFile(at('ours')))));
  await decryptFile({ input: at('theirs'), output: at('opened'), identities: [identity] });
  assert.ok(content.equals(await readFile(at('opened'))));
  const known = await run('age', ['-r', recipient, '-o', at('from-age'), at('plain')]).then(
    () => true,
    () => false,
  );
  if (!known)
    return t.diagnostic('the age that is installed knows no post-quantum keys: checked with typage alone');
  await decryptFile({ input: at('from-age'), output: at('opened'), identities: [identity], force: true });
  assert.ok(content.equals(await readFile(at('opened'))));
  await run('age', ['-d', '-i', at('key'), '-o', at('read'), at('ours')]);
  assert.ok(content.equals(await readFile(at('read'))));
});

/** Runs a command on a terminal of its own, where age asks for passphrases, and answers each question in turn. */
async function onTerminal(command: readonly string[], answers: readonly string[]): Promise<void> {
  const line = command.map((word) => `'${word}'`).join(' ');
  const terminal = spawn('script', ['-qec', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const left = [...answers];
  let screen = '';
  terminal.stdout.on('data', (piece: Buffer) => {
    const questions = (text: string): number => text.split(/passphrase[^:\n]*:/i).length - 1;
    const before = questions(screen);
    screen += piece.toString();
    for (let asked = before; asked < questions(screen); asked++)
      terminal.stdin.write(`${left.shift() ?? ''}\n`);
  });
  const code = await new Promise<number | null>((resolve) => terminal.on('close', resolve));
  terminal.stdin.destroy();
  assert.equal(code, 0, screen);
  assert.deepEqual(left, [], screen);
}

async function sshKey(name: string, path: string): Promise<void> {
  await copyFile(join(SSH, name), path);
  await chmod(path, 0o600);
}

function unreachable(t: TestContext, reason = MISSING): void {
  t.diagnostic(reason);
  t.skip(reason);
}

async function workspace(t: TestContext): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-interop-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return (name) => join(directory, name);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
