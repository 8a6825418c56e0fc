import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { askVerifier } from '../support/receipt-verifier.ts';

/** The verifier in Python, over the package `cryptography`. */
const PROGRAM = join(import.meta.dirname, '..', '..', 'examples', 'verify-receipt', 'verify.py');

test('the verifier in Python accepts our receipts, and refuses every damaged one', async (t) => {
  if (spawnSync('python3', ['-c', 'import cryptography']).status !== 0) {
    t.skip('Python with the package cryptography is not reachable; pip install cryptography');
    return;
  }
  const place = await mkdtemp(join(tmpdir(), 'modelkeep-receipt-'));
  try {
    await askVerifier(place, (argv) => spawnSync('python3', [PROGRAM, ...argv], { encoding: 'utf8' }));
  } finally {
    await rm(place, { recursive: true });
  }
});
