import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import {
  createProver,
  openCheckpoint,
  parseVerifierKey,
  verifyConsistency,
  verifyReceipt,
} from '../../src/audit/library.ts';

const sample = (name: string): URL => new URL(`sample/${name}`, import.meta.url);
const text = (name: string): Promise<string> => readFile(sample(name), 'utf8');

// The verifier key comes from whoever runs the keep, once, and not together with what it is to check.
const key = await text('keep.vkey');

// Offline: did the keep answer these bytes to those, and who asked?
const [input, output] = await Promise.all([
  readFile(sample('input.bytes')),
  readFile(sample('output.bytes')),
]);
const receipt = await text('receipt.tlog-proof');
const result = verifyReceipt({ receipt, keys: [key], input, output });
if (!result.ok) throw new Error(result.reason);
console.log(result.entry.principal.name, result.entry.action, result.entry.decision);
for (const sentence of result.unproven) console.log('not proven:', sentence);

// One changed digit in what was answered.
const forged = Buffer.from(output.toString().replace('0.25', '0.75'));
const refused = verifyReceipt({ receipt, keys: [key], input, output: forged });
if (!refused.ok) console.log(`${refused.fault}: ${refused.reason}`);

// The log has grown since last week: are the old entries still the same?
const verifier = parseVerifierKey(key.trim());
if (verifier === undefined) throw new Error('this is not a verifier key');
const before = openCheckpoint(await text('last-week.checkpoint'), verifier);
const now = openCheckpoint(await text('log/checkpoint'), verifier);
const prover = createProver({ directory: fileURLToPath(sample('log')) });
const proof = await prover.consistency(before.size, now.size);
console.log(before.size, now.size, verifyConsistency(before.size, now.size, before.root, now.root, proof));
