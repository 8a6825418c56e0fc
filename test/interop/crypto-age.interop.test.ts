import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { generateIdentity, recipientOf } from '../../src/crypto/age/keys.ts';
import { decryptFile, encryptFile } from '../../src/crypto/engine/files.ts';
import { createKeyRing } from '../../src/crypto/ring/sealed-key-ring.ts';
import { createRootKeyFile } from '../../src/crypto/root-key/root-key-file.ts';
import { systemClock } from '../../src/kernel/clock.ts';

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
  assert.equal(document.v, 1);
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

function unreachable(t: TestContext): void {
  t.diagnostic(MISSING);
  t.skip(MISSING);
}

async function workspace(t: TestContext): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-interop-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  return (name) => join(directory, name);
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
