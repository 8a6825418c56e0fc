import { setImmediate } from 'node:timers/promises';
import type { Verification, VerificationProgress } from './audit-log.ts';
import { type NoteVerifier, parseVerifierKey } from './note.ts';
import { type Verified, verification } from './verification.ts';
import { successorsOf } from './witness/key-rotation.ts';

const STEPS_PER_TURN = 64;

/** A verifier key or several: a line each, or a list. */
export type VerifierKeys = string | readonly string[];

/**
 * Checks a copy of `log/` with nothing but verifier keys, of which one of each kind must have signed: the signature, every entry
 * against the tree, every tile, the checksums of the write-ahead log. What is wrong is in the result; it rejects only if
 * the files cannot be read. A key that cannot be parsed is a checkpoint problem: nothing was verified.
 */
export async function verifyLog(
  directory: string,
  keys: VerifierKeys,
  onProgress: (progress: VerificationProgress) => void = () => {},
): Promise<Verification> {
  const trusted = parseKeys(keys);
  if (trusted === undefined) return NO_KEY;
  return await finish(verification(directory, trusted.verifiers), trusted, onProgress);
}

/** Keys that were given, and what they verify with. */
export interface TrustedKeys {
  readonly vkeys: readonly string[];
  readonly verifiers: readonly NoteVerifier[];
}

/** Undefined if one of them is malformed, or there is none. */
export function parseKeys(keys: VerifierKeys): TrustedKeys | undefined {
  const lines = [keys].flat().flatMap((each) => each.trim().split('\n'));
  const vkeys = [...new Set(lines.map((each) => each.trim()))];
  const verifiers = vkeys.map(parseVerifierKey).filter((each) => each !== undefined);
  return verifiers.length === 0 || verifiers.length < vkeys.length ? undefined : { vkeys, verifiers };
}

export const NO_KEY: Verification = {
  ok: false,
  size: 0,
  root: '',
  unsealed: 0,
  problems: [{ kind: 'checkpoint', file: 'vkey', message: 'this is not a verifier key' }],
};

/** Takes the steps, and lets other work in between. */
export async function finish(
  steps: Generator<VerificationProgress, Verified>,
  { vkeys }: TrustedKeys,
  onProgress: (progress: VerificationProgress) => void,
): Promise<Verification> {
  for (let count = 1; ; count++) {
    const step = steps.next();
    if (step.done === true) {
      const { rotations, ...result } = step.value;
      const known = vkeys.flatMap((vkey) => successorsOf(vkey, rotations));
      const successors = [...new Set(known)].filter((vkey) => !vkeys.includes(vkey));
      return result.ok && successors.length > 0 ? { ...result, successors } : result;
    }
    onProgress(step.value);
    if (count % STEPS_PER_TURN === 0) await setImmediate();
  }
}
