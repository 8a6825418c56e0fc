import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, it } from 'node:test';

const ROOT = join(import.meta.dirname, '..', '..');

describe('the tutorial', () => {
  it('runs from its first command to its last', async () => {
    const page = await readFile(join(ROOT, 'docs', 'tutorial.md'), 'utf8');
    const blocks = [...page.matchAll(/```sh run\n([\s\S]*?)```/g)].map(([, commands]) => commands ?? '');
    assert.ok(blocks.length >= 5, `only ${blocks.length} blocks were seen`);
    const place = await mkdtemp(join(tmpdir(), 'modelkeep-tutorial-'));
    const shim = join(place, 'modelkeep');
    await writeFile(shim, `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'src', 'main.ts')}" "$@"\n`);
    await chmod(shim, 0o755);
    await symlink(join(ROOT, 'examples'), join(place, 'examples'));
    const commands = blocks.join('\n').replace(/^port=8750$/m, `port=${await freePort()}`);
    assert.doesNotMatch(commands, /8750/);
    const script = `set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${commands}`;
    const { status, stdout, stderr } = spawnSync('bash', ['-c', script], {
      cwd: place,
      encoding: 'utf8',
      timeout: 300_000,
      env: {
        PATH: `${place}${delimiter}${process.env['PATH'] ?? ''}`,
        HOME: place,
      },
    });
    assert.equal(status, 0, `${stdout}\n${stderr}`);
    await rm(place, { recursive: true, force: true });
  });
});

/** The tutorial's own port may be taken on the machine that runs the tests. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
