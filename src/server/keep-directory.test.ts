import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { loadConfig } from '../config/load.ts';
import { systemClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { createKeep, openKeep } from './keep.ts';

async function newHome(t: TestContext): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-init-'));
  t.after(() => rm(home, { recursive: true, force: true }));
  return home;
}

const optionsFor = (home: string, flags: Readonly<Record<string, string>> = {}) => ({
  home,
  config: loadConfig({
    flags: { 'audit.reserveBytes': '0', ...flags },
    env: {},
    homeDirectory: home,
    readFile: () => undefined,
  }),
  clock: systemClock,
  log: silentLog,
});

describe('the directory of a new keep', () => {
  it('may be there with its configuration, open to others until now', async (t) => {
    const home = await newHome(t);
    await writeFile(join(home, 'modelkeep.yaml'), 'audit: {}\n', { mode: 0o644 });
    await chmod(home, 0o755);
    await createKeep(optionsFor(home));
    assert.equal((await stat(home)).mode & 0o777, 0o700);
    const keep = await openKeep(optionsFor(home));
    await keep[Symbol.asyncDispose]();
  });

  it('can be used again when the root key could not be had', async (t) => {
    const home = await newHome(t);
    const wanting = optionsFor(home, { 'rootKey.provider': 'environment' });
    await assert.rejects(createKeep(wanting), { name: 'Problem' });
    await createKeep(optionsFor(home));
  });
});
