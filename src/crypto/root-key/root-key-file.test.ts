import assert from 'node:assert/strict';
import { chmod, chown, mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { parseIdentity } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { createRootKeyFile, readRootKeyFile } from './root-key-file.ts';
import { temporaryDirectory } from '../testing.ts';

test('makes a private file and reads it back', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.key');
  const made = await createRootKeyFile(path);
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.equal((await readRootKeyFile(path)).reveal(), made.reveal());
  assert.equal(await readFile(path, 'utf8'), `${made.reveal()}\n`);
  parseIdentity(made.reveal());
});

test('never overwrites a root key', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'root.key');
  const made = await createRootKeyFile(path);
  await rejects(createRootKeyFile(path), cryptoProblems.root_key_exists);
  assert.equal((await readRootKeyFile(path)).reveal(), made.reveal());
  assert.deepEqual(await readdir(directory), ['root.key']);
});

test('accepts the file with one line end, without, and as age-keygen writes it', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.key');
  const identity = (await createRootKeyFile(path)).reveal();
  for (const text of [
    identity,
    `${identity}\n`,
    `${identity}\r\n`,
    `# created: today\n# public key: age1\n${identity}\n`,
  ]) {
    await writeFile(path, text);
    assert.equal((await readRootKeyFile(path)).reveal(), identity);
  }
});

test('refuses a file that others may read, and says how to mend it', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.key');
  await createRootKeyFile(path);
  for (const mode of [0o640, 0o604, 0o644, 0o620, 0o601]) {
    await chmod(path, mode);
    const problem = await rejects(readRootKeyFile(path), cryptoProblems.root_key_exposed);
    assert.match(problem.detail, /chmod 600/);
  }
  await chmod(path, 0o400);
  await readRootKeyFile(path);
});

test('refuses a symbolic link, a directory, and a file that is not there', async (t) => {
  const directory = await temporaryDirectory(t);
  const path = join(directory, 'root.key');
  await createRootKeyFile(path);
  await symlink(path, join(directory, 'link'));
  await rejects(readRootKeyFile(join(directory, 'link')), cryptoProblems.root_key_exposed);
  await mkdir(join(directory, 'sub'), { mode: 0o700 });
  await rejects(readRootKeyFile(join(directory, 'sub')), cryptoProblems.root_key_exposed);
  await rejects(readRootKeyFile(join(directory, 'none')), cryptoProblems.root_key_missing);
});

test('refuses a file of another user', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.key');
  await createRootKeyFile(path);
  if (process.geteuid?.() === 0) {
    await chown(path, 12345, 12345);
    await rejects(readRootKeyFile(path), cryptoProblems.root_key_exposed);
  } else {
    // Only root can give a file away; this one belongs to root everywhere.
    await rejects(readRootKeyFile('/etc/passwd'), cryptoProblems.root_key_exposed);
  }
});

test('refuses a damaged file without quoting it', async (t) => {
  const path = join(await temporaryDirectory(t), 'root.key');
  const identity = (await createRootKeyFile(path)).reveal();
  for (const text of [
    '',
    '\n',
    identity.slice(0, -1),
    ` ${identity}`,
    `${identity}\n${identity}\n`,
    'x'.repeat(5000),
  ]) {
    await writeFile(path, text);
    const problem = await rejects(readRootKeyFile(path), cryptoProblems.root_key_malformed);
    assert.doesNotMatch(JSON.stringify(problem) + String(problem.cause), /AGE-SECRET-KEY-1[A-Z0-9]/);
  }
});

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(isProblem(error, definition), String(error));
  return error;
}
