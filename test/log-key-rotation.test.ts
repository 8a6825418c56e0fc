import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { verifyLog } from '../src/audit/verify.ts';
import { loadConfig } from '../src/config/load.ts';
import { createManualClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { ringProblems } from '../src/crypto/ring/problems.ts';
import { isProblem } from '../src/kernel/problem.ts';
import { keysProblems } from '../src/keys/problems.ts';
import { createKeep, openKeep } from '../src/server/keep.ts';

const DAY_MS = 86_400_000;

test('the key of the log is rotated in the ring, and the next start announces it to who verifies', async (t) => {
  const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-log-key-')), 'keep');
  t.after(() => rm(home, { recursive: true }));
  const config = loadConfig({ flags: {}, env: {}, homeDirectory: home, readFile: () => undefined });
  const clock = createManualClock();
  const options = { home, config, clock, log: silentLog };
  const { verifierKey: old, paths } = await createKeep(options);
  {
    await using keep = await openKeep(options);
    const { versions } = await keep.keys.rotate('audit-log');
    assert.deepEqual(
      versions.map(({ state, items }) => [state, items.length]),
      [
        ['decrypt-only', 1],
        ['active', 0],
      ],
    );
    assert.deepEqual(keep.audit.vkeys(), [old]);
    await keep.keys.create('releases', 'sign');
    await assert.rejects(keep.keys.rotate('releases'), (error) =>
      isProblem(error, ringProblems.rotation_refused),
    );
    clock.advance(DAY_MS);
    await assert.rejects(keep.keys.destroy('audit-log', 1), (error) =>
      isProblem(error, keysProblems.version_in_use),
    );
  }
  let fresh = '';
  {
    await using keep = await openKeep(options);
    [fresh = ''] = keep.audit.vkeys();
    assert.deepEqual(keep.audit.vkeys(), [fresh, old]);
    assert.notEqual(fresh, old);
    assert.equal((await keep.audit.verify()).ok, true);
  }
  assert.deepEqual((await verifyLog(paths.log, old)).successors, [fresh]);
  assert.equal(await readFile(join(paths.log, 'vkey'), 'utf8'), `${fresh}\n${old}\n`);
  clock.advance(30 * DAY_MS);
  await using keep = await openKeep(options);
  assert.deepEqual(keep.audit.vkeys(), [fresh]);
  await keep.keys.destroy('audit-log', 1);
  assert.equal((await keep.audit.verify()).ok, true);
});
