import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

function run(argv: readonly string[], { preload, input = '' }: { preload?: string; input?: string } = {}) {
  const options =
    preload === undefined ? [] : ['--import', `data:text/javascript,${encodeURIComponent(preload)}`];
  const env = { PATH: process.env['PATH'], MODELKEEP_HOME: '/nonexistent/keep' };
  return spawnSync(process.execPath, [...options, main, ...argv], { encoding: 'utf8', input, env });
}

describe('the executable', () => {
  for (const version of ['18.20.0', '20.20.2', '24.6.9']) {
    it(`tells Node ${version} that it is too old, and loads nothing else`, () => {
      const preload = `Object.defineProperty(process, 'versions', { value: { node: '${version}' } })`;
      const { status, stdout, stderr } = run(['version'], { preload });
      assert.equal(status, 1);
      assert.equal(stdout, '');
      assert.match(stderr, /^modelkeep: error: Node \S+ is too old: modelkeep needs Node 24\.7 or newer\n/);
    });
  }

  it('prints the version of the package', () => {
    const { status, stdout, stderr } = run(['version']);
    assert.equal(stderr, '');
    assert.match(stdout, /^\d+\.\d+\.\d+\n$/);
    assert.equal(status, 0);
  });

  it('passes exit codes on', () => {
    assert.equal(run(['users', 'lst']).status, 2);
    assert.equal(run(['users', 'list']).status, 1);
    assert.equal(run(['audit', 'verify', '/nonexistent/log', '--key', 'x']).status, 3);
  });

  it('encrypts a pipe and decrypts it again', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-main-'));
    const key = join(directory, 'key.txt');
    assert.equal(run(['keygen', '-o', key]).status, 0);
    const sealed = run(['encrypt', '-a', '-i', key], { input: 'training data' }).stdout;
    assert.match(sealed, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
    assert.equal(run(['decrypt', '-i', key], { input: sealed }).stdout, 'training data');
  });
});
