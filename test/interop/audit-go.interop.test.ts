import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { openAuditLog } from '../../src/audit/log.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { buildGoProgram } from '../support/go-program.ts';

/** Go's own code for the checksum database, golang.org/x/mod/sumdb/note and tlog: `apt-get install golang`. */

const run = promisify(execFile);
const ENTRIES = 1000;

for (const [what, previousKeys] of [
  ['the log that we write', []],
  ['a log whose checkpoints have an ML-DSA-44 line', [generateKeyPairSync('ml-dsa-44').privateKey]],
] as const) {
  test(`Go verifies ${what}, and finds one flipped bit in any of its files`, async (t) => {
    const work = await mkdtemp(join(tmpdir(), 'modelkeep-audit-go-'));
    t.after(() => rm(work, { recursive: true }));
    const program = join(work, 'audit-go');
    const missing = await buildGoProgram('audit-go', program);
    if (missing !== undefined) {
      t.skip(missing);
      return;
    }
    const directory = join(work, 'log');
    const log = await openAuditLog({
      directory,
      signingKey: generateKeyPairSync('ed25519').privateKey,
      previousKeys,
      origin: 'keep.example.org/audit',
      clock: systemClock,
      log: silentLog,
    });
    for (let at = 0; at < ENTRIES; at += 100) {
      await Promise.all(Array.from({ length: 100 }, (_, of) => log.append(draft(at + of))));
      await log.checkpoint();
    }
    await log.close();

    const note = await readFile(join(directory, 'checkpoint'), 'utf8');
    assert.equal(note.match(/^\u2014 /gm)?.length, 1 + previousKeys.length);
    const { stdout } = await run(program, [directory, log.vkey]);
    const report = JSON.parse(stdout) as Record<string, unknown>;
    assert.deepEqual(report, {
      origin: 'keep.example.org/audit',
      size: ENTRIES,
      entries: ENTRIES,
      inclusionProofs: 12,
      consistencyProofs: 6,
    });

    for (const [file, at, message] of [
      ['tile/entries/002', 5000, /entry 5\d\d does not match its leaf hash/],
      ['tile/entries/003.p/232', 300, /entry 76[89] does not match its leaf hash/],
      ['tile/0/001', 40, /tile|hash/],
      ['tile/0/003.p/232', 7000, /tile|hash/],
      ['tile/1/000.p/3', 70, /tile|hash/],
      ['checkpoint', 25, /signature/],
    ] as const) {
      const copy = join(work, 'copy');
      await cp(directory, copy, { recursive: true });
      const bytes = await readFile(join(copy, file));
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      await writeFile(join(copy, file), bytes);
      await assert.rejects(run(program, [copy, log.vkey]), message, file);
      await rm(copy, { recursive: true });
    }
  });
}

function draft(at: number): Parameters<Awaited<ReturnType<typeof openAuditLog>>['append']>[0] {
  return {
    phase: 'single',
    action: 'model.invoke',
    principal: { kind: 'user', id: `usr_${at % 7}`, name: 'ada' },
    resource: '/projects/fraud/models/score',
    decision: at % 5 === 0 ? 'deny' : 'allow',
    reason: at % 5 === 0 ? 'no_matching_binding' : 'allowed',
    latencyUs: at,
  };
}
