import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { promisify } from 'node:util';
import { generateIdentity } from '../../src/crypto/age/keys.ts';
import { decryptDirectory, encryptDirectory } from '../../src/crypto/engine/directories.ts';

/** Encrypted directories beside the reference implementation of age (`apt-get install age`) and GNU tar. */

const run = promisify(execFile);
const present = await Promise.all([run('age', ['--version']), run('tar', ['--version'])]).then(
  () => true,
  () => false,
);
const MISSING = 'age or tar is not installed; apt-get install age tar';
const { identity, recipient } = generateIdentity();

test('age -d | tar x opens what we pack', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  await encryptDirectory({ input: at('tree'), output: at('sealed'), recipients: [recipient] });
  await mkdir(at('copy'));
  const { stderr } = await pipe(at, 'age -d -i key sealed | tar -x -C copy');
  assert.equal(stderr, '', 'tar has nothing to complain about');
  await mustBeEqual(at('tree'), at('copy'));
});

test('we open what tar c | age packs, with the formats that tar writes', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  for (const format of ['gnu', 'pax', 'ustar --exclude long']) {
    await pipe(at, `tar -c --format=${format} -C tree . | age -r ${recipient} -o sealed`);
    await decryptDirectory({ input: at('sealed'), output: at('copy'), identities: [identity] });
    if (format === 'ustar --exclude long') await rm(at('tree/long'), { recursive: true });
    await mustBeEqual(at('tree'), at('copy'));
    await rm(at('copy'), { recursive: true });
  }
});

test('what age and tar pack compressed is opened too', async (t) => {
  if (!present) return unreachable(t);
  const at = await workspace(t);
  await pipe(at, `tar -cz -C tree . | age -r ${recipient} -o sealed`);
  await decryptDirectory({ input: at('sealed'), output: at('copy'), identities: [identity] });
  await mustBeEqual(at('tree'), at('copy'));
});

function unreachable(t: TestContext): void {
  t.diagnostic(MISSING);
  t.skip(MISSING);
}

async function workspace(t: TestContext): Promise<(name: string) => string> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-interop-'));
  t.after(() => rm(directory, { recursive: true, force: true }));
  const at = (name: string): string => join(directory, name);
  await writeFile(at('key'), `${identity}\n`, { mode: 0o600 });
  // Longer than the fields of a tar header.
  await mkdir(at(`tree/long/${'d'.repeat(120)}`), { recursive: true });
  await writeFile(at(`tree/long/${'d'.repeat(120)}/${'f'.repeat(200)}`), 'deep');
  await mkdir(at('tree/sub'));
  await writeFile(at('tree/weights'), randomBytes(300_000));
  await writeFile(at('tree/sub/run.sh'), '#!/bin/sh\n');
  await chmod(at('tree/sub/run.sh'), 0o755);
  await writeFile(at('tree/sub/模型 and space'), '');
  await symlink('../weights', at('tree/sub/latest'));
  await utimes(at('tree/weights'), 1_500_000_000, 1_500_000_000);
  return at;
}

function pipe(at: (name: string) => string, script: string): Promise<{ stderr: string }> {
  return run('bash', ['-o', 'pipefail', '-c', script], { cwd: at('.') });
}

async function mustBeEqual(one: string, two: string): Promise<void> {
  const names = (await readdir(one, { recursive: true })).toSorted();
  assert.deepEqual((await readdir(two, { recursive: true })).toSorted(), names);
  assert.ok(names.length >= 4);
  for (const name of names) {
    const [a, b] = [await stat(join(one, name)), await stat(join(two, name))];
    assert.equal(b.mode & 0o777, a.mode & 0o777, name);
    if (!a.isFile()) continue;
    assert.ok((await readFile(join(one, name))).equals(await readFile(join(two, name))), name);
    assert.equal(Math.floor(b.mtimeMs / 1000), Math.floor(a.mtimeMs / 1000), name);
  }
  assert.equal(await readlink(join(two, 'sub/latest')), '../weights');
}
