import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCli } from './support/server-process.ts';

/** What differs from run to run: numbers, digests, keys, ids, passwords and the directory. */
function normalise(text: string, home: string): string[] {
  return text
    .replaceAll(home, './keep-demo')
    .replaceAll(/mk_\w+/g, 'KEY')
    .replaceAll(/\b[a-z]{6}(-[a-z]{6}){3}\b/g, 'PASSWORD')
    .replaceAll(/\breq_\w+/g, 'REQUEST')
    .replaceAll(/\b[0-9a-f]{8,}\b/g, 'HEX')
    .replaceAll(/\d+(\.\d+)?/g, 'N')
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '');
}

describe('the README', () => {
  it('shows what the demo prints', async () => {
    const readme = await readFile(join(import.meta.dirname, '..', 'README.md'), 'utf8');
    const shown = /```console\n\$ npm install && npm start -- --exit\n([\s\S]*?)```/.exec(readme)?.[1];
    assert.ok(shown !== undefined, 'the README has no block of the demo');
    const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-readme-')), 'keep');
    const { code, stdout, stderr } = await runCli(['demo', '--exit', '--port', '0'], {
      environment: { MODELKEEP_HOME: home },
    });
    assert.equal(code, 0, stderr);
    assert.deepEqual(normalise(stdout, home), normalise(shown, './keep-demo'));
    await rm(home, { recursive: true });
  });
});
