import assert from 'node:assert/strict';
import { chmod, copyFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadConfig } from '../src/config/load.ts';
import { createManualClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { Problem } from '../src/kernel/problem.ts';
import { createKeep, openKeep } from '../src/server/keep.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');

async function makeKeep() {
  const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-fault-')), 'keep');
  const config = loadConfig({ flags: {}, env: {}, homeDirectory: home, readFile: () => undefined });
  const clock = createManualClock();
  const options = { home, config, clock, log: silentLog };
  await createKeep(options);
  {
    await using keep = await openKeep(options);
    const bytes = await readFile(POLARITY);
    const source = (async function* () {
      yield bytes;
    })();
    await keep.registry.add({ project: 'default', model: 'polarity', source, createdBy: 'local:test' });
  }
  return { home, clock, options };
}

async function flipIn(path: string, at = 0.5): Promise<void> {
  const bytes = await readFile(path);
  const place = Math.floor(bytes.length * at);
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  await writeFile(path, bytes);
}

async function codeOfOpening(options: Parameters<typeof openKeep>[0]): Promise<string> {
  try {
    const keep = await openKeep(options);
    await keep[Symbol.asyncDispose]();
    return 'opened';
  } catch (error) {
    return error instanceof Problem ? error.code : String(error);
  }
}

describe('a keep at fault', () => {
  it('is not opened by a second process, and opens when the first has gone', async () => {
    const { home, options } = await makeKeep();
    const first = await openKeep(options);
    assert.equal(await codeOfOpening(options), 'storage.keep_locked');
    await first[Symbol.asyncDispose]();
    assert.equal(await codeOfOpening(options), 'opened');
    await rm(home, { recursive: true });
  });

  it('names the part that a flipped byte is in, and opens again when the byte is put back', async () => {
    const { home, options } = await makeKeep();
    const bundles = join(home, 'log', 'tile', 'entries');
    const [bundle = ''] = (await readdir(bundles, { recursive: true })).filter((name) =>
      /p[\\/]\d+$/.test(name),
    );
    const faults: readonly (readonly [string, string, number])[] = [
      ['keyring.age', 'crypto.keyring_corrupt', 0.95],
      [join('log', 'tile', 'entries', bundle), 'audit.log_corrupt', 0.5],
      [join('log', 'checkpoint'), 'audit.log_corrupt', 0.9],
      ['root.key', 'crypto.root_key_malformed', 0.5],
    ];
    for (const [file, code, at] of faults) {
      const path = join(home, file);
      const spare = `${home}.spare`;
      await copyFile(path, spare);
      await flipIn(path, at);
      assert.equal(await codeOfOpening(options), code, file);
      await copyFile(spare, path);
      assert.equal(await codeOfOpening(options), 'opened', file);
    }
    await rm(home, { recursive: true });
  });

  it('finds a flipped byte of an artifact without running it', async () => {
    const { home, options } = await makeKeep();
    const blobs = (await readdir(join(home, 'blobs'), { recursive: true })).filter(
      (name) => name.length > 60,
    );
    await flipIn(join(home, 'blobs', blobs[0] ?? ''));
    await using keep = await openKeep(options);
    const [found] = await keep.registry.verifyAll();
    assert.equal(found?.problem?.code, 'models.artifact_corrupt');
    assert.match(found.problem.detail, /default\/polarity@1/);
  });

  it('refuses a directory, a root key and a database that are not what they must be', async () => {
    const { home, options } = await makeKeep();
    await chmod(home, 0o755);
    assert.equal(await codeOfOpening(options), 'keep.open_to_others');
    await chmod(home, 0o700);
    await chmod(join(home, 'root.key'), 0o640);
    assert.equal(await codeOfOpening(options), 'crypto.root_key_exposed');
    await chmod(join(home, 'root.key'), 0o600);
    await writeFile(join(home, 'modelkeep.db'), 'not a database at all'.repeat(500));
    assert.equal(await codeOfOpening(options), 'storage.database_corrupt');
    assert.equal(await codeOfOpening({ ...options, home: join(home, 'nowhere') }), 'keep.not_found');
    await rm(home, { recursive: true });
  });

  it('lives with a clock that was set back, and records it', async () => {
    const { home, clock, options } = await makeKeep();
    await using keep = await openKeep(options);
    const draft = {
      phase: 'single',
      action: 'test',
      principal: { kind: 'system' },
      decision: 'allow',
      reason: 'allowed',
    } as const;
    await keep.audit.append(draft);
    clock.step(clock.now() - 3_600_000);
    await keep.audit.append(draft);
    const { entries } = await keep.audit.entries({ action: 'audit.clock_step' });
    assert.equal(entries.length, 1);
    assert.deepEqual((await keep.audit.verify()).problems, []);
    void home;
  });
});
