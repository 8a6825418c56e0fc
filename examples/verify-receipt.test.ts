import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { askVerifier } from '../test/support/receipt-verifier.ts';

test('the verifier in JavaScript accepts our receipts, and refuses every damaged one', async () => {
  const place = await mkdtemp(join(tmpdir(), 'modelkeep-example-'));
  const program = join(import.meta.dirname, 'verify-receipt', 'verify.mjs');
  try {
    await askVerifier(place, (argv) => spawnSync(process.execPath, [program, ...argv], { encoding: 'utf8' }));
  } finally {
    await rm(place, { recursive: true });
  }
});
