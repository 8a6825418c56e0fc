import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { type AuditLogOptions, openAuditLog } from '../../src/audit/log.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { buildGoProgram } from '../support/go-program.ts';

/** Go's own golang.org/x/mod/sumdb/note and tlog, as in audit-go.interop.test.ts: `apt-get install golang`. */

const run = promisify(execFile);
const OVERLAP_MS = 60_000;

test('Go verifies the log with either key while it changes its key, and with the new one alone afterwards', async (t) => {
  const work = await mkdtemp(join(tmpdir(), 'modelkeep-key-rotation-go-'));
  t.after(() => rm(work, { recursive: true }));
  const program = join(work, 'audit-go');
  const missing = await buildGoProgram('audit-go', program);
  if (missing !== undefined) {
    t.skip(missing);
    return;
  }
  const directory = join(work, 'log');
  const [before, after] = [
    generateKeyPairSync('ed25519').privateKey,
    generateKeyPairSync('ed25519').privateKey,
  ];
  let now = systemClock.now();
  const open = (keys: Pick<AuditLogOptions, 'signingKey' | 'previousKeys'>) =>
    openAuditLog({
      ...keys,
      directory,
      origin: 'keep.example.org/audit',
      clock: { ...systemClock, now: () => now },
      log: silentLog,
      tuning: { keyOverlapMs: OVERLAP_MS },
    });
  const old = await open({ signingKey: before });
  for (let at = 0; at < 300; at++) await old.append(draft());
  await old.close();
  const log = await open({ signingKey: after, previousKeys: [before] });
  await log.append(draft());
  await log.close();
  const note = await readFile(join(directory, 'checkpoint'), 'utf8');
  assert.equal(note.split('\n').filter((line) => line.startsWith('\u2014')).length, 2);
  for (const vkey of [old.vkey, log.vkey]) {
    const { stdout } = await run(program, [directory, vkey]);
    assert.equal((JSON.parse(stdout) as { entries: number }).entries, 302);
  }

  now += OVERLAP_MS;
  await (await open({ signingKey: after, previousKeys: [before] })).close();
  const { stdout } = await run(program, [directory, log.vkey]);
  assert.equal((JSON.parse(stdout) as { entries: number }).entries, 302);
  await assert.rejects(run(program, [directory, old.vkey]), /signature/);
});

function draft(): Parameters<Awaited<ReturnType<typeof openAuditLog>>['append']>[0] {
  return {
    phase: 'single',
    action: 'model.invoke',
    principal: { kind: 'user', id: 'usr_1', name: 'ada' },
    resource: '/projects/fraud/models/score',
    decision: 'allow',
    reason: 'allowed',
  };
}
