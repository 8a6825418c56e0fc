import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { promisify } from 'node:util';
import { openAuditLog } from '../../src/audit/log.ts';
import { parseVerifierKey } from '../../src/audit/note.ts';
import { createProver } from '../../src/audit/receipt/prover.ts';
import { createWitnessClient } from '../../src/audit/witness/client.ts';
import { parseCosignerKey } from '../../src/audit/witness/cosignature.ts';
import { obtainCosignature } from '../../src/audit/witness/submission.ts';
import { createWitnessMemory } from '../../src/audit/witness/stores.ts';
import { cosignerOf, createTestLog } from '../../src/audit/witness/testing.ts';
import { createWitness } from '../../src/audit/witness/witness.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { buildGoProgram } from '../support/go-program.ts';

/** A witness on golang.org/x/mod/sumdb/note and tlog: `apt-get install golang`. */

const run = promisify(execFile);

test('a Go witness cosigns the growth of our log, and Go verifies what our witness cosigned', async (t) => {
  const work = await mkdtemp(join(tmpdir(), 'modelkeep-witness-go-'));
  t.after(() => rm(work, { recursive: true }));
  const program = join(work, 'witness-go');
  const missing = await buildGoProgram('witness-go', program);
  if (missing !== undefined) {
    t.skip(missing);
    return;
  }

  await t.test('their witness, our log', async (t) => {
    const directory = join(work, 'log');
    const log = await openAuditLog({
      directory,
      signingKey: generateKeyPairSync('ed25519').privateKey,
      origin: 'keep.example.org/audit',
      clock: systemClock,
      log: silentLog,
    });
    t.after(() => log.close());
    const seed = randomBytes(32).toString('base64');
    const child = spawn(program, ['serve', log.vkey, 'go.example.org/w1', seed], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    t.after(() => child.stdin.end());
    const [line] = (await once(child.stdout, 'data')) as [Buffer];
    const [vkey = '', url = ''] = line.toString().trim().split(' ');
    const verifier = parseCosignerKey(vkey);
    const ours = parseVerifierKey(log.vkey);
    assert.ok(verifier !== undefined && ours !== undefined, vkey);
    const client = createWitnessClient({
      url,
      verifier,
      timeoutMs: 5000,
      signal: new AbortController().signal,
    });
    const obtain = (checkpoint: string, known: number) =>
      obtainCosignature({ client, prover: createProver({ directory }), logs: [ours], checkpoint, known });

    let size = 0;
    let checkpoint = '';
    for (const more of [1, 1, 5, 250, 3, 40]) {
      await Promise.all(Array.from({ length: more }, () => log.append(draft())));
      checkpoint = await log.checkpoint();
      // It is told nothing every second time, and has to say where it stands.
      const outcome = await obtain(checkpoint, size % 2 === 0 ? 0 : size);
      assert.equal(outcome.kind, 'cosigned', JSON.stringify(outcome));
      size += more;
    }
    const cosigned = await obtain(checkpoint, size);
    assert.ok(cosigned.kind === 'cosigned');
    assert.ok(Math.abs(cosigned.time - Date.now() / 1000) < 60);
    const { stdout } = await verify(`${checkpoint}${cosigned.line}\n`, log.vkey, vkey);
    assert.equal(stdout, `${size} ${cosigned.time}\n`);

    const changed = await client.add({ old: size, proof: [Buffer.alloc(32)], checkpoint });
    assert.equal(changed.kind, 'inconsistent');
  });

  await t.test('our witness, their verifier', async () => {
    const log = createTestLog();
    const cosigner = cosignerOf('witness.example.org/w1');
    const witness = createWitness({
      store: createWitnessMemory(),
      cosigners: [cosigner, cosignerOf('witness.example.org/w1', 'ml-dsa-44')],
      logs: [log.verifier],
      clock: systemClock,
    });
    for (const [from, to] of [
      [0, 7],
      [7, 40],
    ] as const) {
      const { status, body } = witness.addCheckpoint(log.body(from, to));
      assert.equal(status, 200, body);
      const { stdout } = await verify(log.checkpoint(to) + body, log.vkey, cosigner.vkey);
      assert.match(stdout, new RegExp(`^${to} \\d{10}\n$`));
      const other = log.checkpoint(to - 1) + body;
      await assert.rejects(verify(other, log.vkey, cosigner.vkey), /invalid signature/);
    }
  });

  function verify(note: string, logKey: string, witnessKey: string): Promise<{ stdout: string }> {
    const result = run(program, ['verify', logKey, witnessKey]);
    result.child.stdin?.end(note);
    return result;
  }
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
