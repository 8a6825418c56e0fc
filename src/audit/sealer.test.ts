import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { isProblem } from '../kernel/problem.ts';
import { auditProblems } from './problems.ts';
import { openSealer } from './sealer.ts';

it('the sealer refuses to seal, and does not hang, once its thread has stopped', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'modelkeep-sealer-'));
  t.after(() => rmSync(root, { recursive: true }));
  const key = generateKeyPairSync('ed25519').privateKey;
  const sealer = await openSealer(
    { directory: join(root, 'log'), origin: 'keep.test/audit', keys: [key], clock: createManualClock() },
    () => {},
  );
  assert.equal((await sealer.seal(0)).size, 0);
  await sealer.close();
  await assert.rejects(sealer.seal(1), (error) => isProblem(error, auditProblems.unavailable));
  await sealer.close();
});
