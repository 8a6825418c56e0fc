import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { createSecretSource } from './secret-source.ts';

test('a variable is read, less one line end, and is gone from the environment of the process', () => {
  const name = 'MODELKEEP_TEST_SECRET_SOURCE';
  process.env[name] = 'the secret\n';
  const source = createSecretSource({ [name]: 'the secret\n', TWICE: 'x\n\n' });
  assert.equal(source.resolve(`env:${name}`).reveal(), 'the secret');
  assert.equal(process.env[name], undefined);
  assert.equal(source.take(name)?.reveal(), 'the secret', 'a second opening finds it');
  assert.equal(source.take('TWICE')?.reveal(), 'x\n');
  assert.equal(source.take('NONE'), undefined);
  process.env[name] = 'set by somebody else meanwhile';
  source.take(name);
  assert.equal(process.env[name], 'set by somebody else meanwhile');
  delete process.env[name];
});

test('a file is read through links, less one line end', (t) => {
  const path = fileOf(t, 'the secret\r\n');
  const source = createSecretSource({});
  assert.equal(source.resolve(`file:${path}`).reveal(), 'the secret');
  symlinkSync(path, `${path}.link`);
  chmodSync(path, 0o440);
  assert.equal(source.resolve(`file:${path}.link`).reveal(), 'the secret');
  assert.ok(!inspect(source.resolve(`file:${path}`)).includes('the secret'));
});

test('a file that every user may read or write is refused, with the way to mend it', (t) => {
  const path = fileOf(t, 'the secret');
  for (const mode of [0o644, 0o604, 0o602]) {
    chmodSync(path, mode);
    assert.throws(() => createSecretSource({}).resolve(`file:${path}`), {
      code: 'config.secret_exposed',
      message: /chmod o=/,
    });
  }
});

test('what is missing or empty is named by its reference', (t) => {
  const source = createSecretSource({ EMPTY: '' });
  for (const reference of ['env:EMPTY', 'env:NONE', 'file:/none', `file:${fileOf(t, '\n')}`]) {
    assert.throws(() => source.resolve(reference), { code: 'config.secret_missing' });
  }
  assert.throws(() => source.resolve(`file:${fileOf(t, 'x'.repeat(70_000))}`), {
    code: 'config.secret_missing',
  });
});

function fileOf(t: TestContext, text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'modelkeep-secret-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'secret');
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}
