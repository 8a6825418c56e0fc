import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { type Answers, createFakeAccess, runCli, type TestIoOptions } from '../testing.ts';

let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});

async function type(line: string, answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const outcome = await runCli(line.split(' '), access, {
    environment: { MODELKEEP_HOME: home },
    ...options,
  });
  return { ...outcome, calls: access.calls };
}

describe('audit verify', () => {
  it('exits with 0 when the log holds and 3 when it does not', async () => {
    const good = await type('audit verify', () => ({
      ok: true,
      size: 12,
      root: '',
      unsealed: 0,
      problems: [],
    }));
    assert.equal(good.code, 0);
    assert.equal(good.out, '✓ verified 12 entries\n');
    const problems = [
      { kind: 'entry', index: 7, file: 'x', message: 'entry 7 does not match its leaf hash' },
    ];
    const bad = await type('audit verify', () => ({ ok: false, size: 12, root: '', unsealed: 0, problems }));
    assert.equal(bad.code, 3);
    assert.equal(bad.out, '✗ not verified\nentry 7 does not match its leaf hash\n');
  });

  it('checks a copy offline, without opening the keep', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-log-'));
    const keyFile = join(home, 'vkey');
    await writeFile(keyFile, 'not a key\n');
    const { code, out, calls } = await type(`audit verify ${directory} --key-file ${keyFile} --json`, () =>
      assert.fail('no request is needed'),
    );
    assert.equal(code, 3);
    assert.equal((JSON.parse(out) as { ok: boolean }).ok, false);
    assert.deepEqual(calls, []);
  });

  it('prints the verifier key alone', async () => {
    assert.equal((await type('audit vkey', () => ({ vkey: 'keep+1234+AbC' }))).out, 'keep+1234+AbC\n');
  });
});
