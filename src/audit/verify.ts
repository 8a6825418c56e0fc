import { setImmediate } from 'node:timers/promises';
import type { Verification, VerificationProgress } from './audit-log.ts';
import { parseVerifierKey } from './note.ts';
import { verification } from './verification.ts';

const STEPS_PER_TURN = 64;

/**
 * Checks a copy of `log/` with nothing but the verifier key: the signature, every entry against the tree, every tile,
 * the checksums of the write-ahead log. What is wrong is in the result; it rejects only if the files cannot be read. A
 * key that cannot be parsed is a checkpoint problem: nothing was verified.
 */
export async function verifyLog(
  directory: string,
  vkey: string,
  onProgress: (progress: VerificationProgress) => void = () => {},
): Promise<Verification> {
  const verifier = parseVerifierKey(vkey.trim());
  if (verifier === undefined) {
    const problems = [{ kind: 'checkpoint', file: 'vkey', message: 'this is not a verifier key' } as const];
    return { ok: false, size: 0, root: '', unsealed: 0, problems };
  }
  const steps = verification(directory, verifier);
  for (let count = 1; ; count++) {
    const step = steps.next();
    if (step.done === true) return step.value;
    onProgress(step.value);
    if (count % STEPS_PER_TURN === 0) await setImmediate();
  }
}
