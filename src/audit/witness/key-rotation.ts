import type { Entry, EntryDraft } from '../entry.ts';
import { parseVerifierKey } from '../note.ts';
import { splitVerifierKey } from '../verifier-key.ts';

/**
 * A log changes its key in the open: an entry names the new verifier key, checkpoints then carry both signatures for a
 * while, and the new one alone afterwards. The origin stays. Whoever holds the old key can verify a checkpoint of the
 * overlap, find the entry under it, and go on with the new key.
 */

export const KEY_ROTATE = 'audit.key_rotate';

export interface KeyRotation {
  /** Verifier keys. */
  readonly from: string;
  readonly to: string;
  /** From then on the old key signs no more, milliseconds since 1970. */
  readonly overlapUntil: number;
}

/** What the log records, signed by the old key, before the new one signs anything. Throws a TypeError for other logs' keys. */
export function keyRotationDraft({ from, to, overlapUntil }: KeyRotation): EntryDraft {
  if (!isSuccessor(from, to)) throw new TypeError('the new key is not another key of the same log');
  return {
    phase: 'single',
    action: KEY_ROTATE,
    principal: { kind: 'system' },
    resource: '/audit',
    decision: 'allow',
    reason: 'allowed',
    detail: { from, to, overlapUntil: new Date(overlapUntil).toISOString() },
  };
}

/** Undefined if the entry is not a rotation, or a malformed one. */
export function keyRotationOf({ action, decision, detail }: Entry): KeyRotation | undefined {
  const { from, to, overlapUntil } = detail ?? {};
  if (action !== KEY_ROTATE || decision !== 'allow') return undefined;
  if (typeof from !== 'string' || typeof to !== 'string' || typeof overlapUntil !== 'string')
    return undefined;
  const until = Date.parse(overlapUntil);
  return Number.isNaN(until) || !isSuccessor(from, to) ? undefined : { from, to, overlapUntil: until };
}

/**
 * The verifier keys that follow from one that is trusted, oldest first, itself included. `rotations` in the order of the
 * log, from entries that were verified under the keys before them.
 */
export function successorsOf(trusted: string, rotations: Iterable<KeyRotation>): readonly string[] {
  const keys = [trusted];
  for (const { from, to } of rotations) if (keys.at(-1) === from) keys.push(to);
  return keys;
}

/**
 * The keys that a log is known by in its file `vkey`: one a line, the present one first. An ML-DSA-44 key is passed over:
 * the log may begin to sign with it, and cease, without a change of its own.
 */
export function parseVerifierKeys(text: string): readonly string[] | undefined {
  const lines = text.split('\n');
  if (lines.pop() !== '') return undefined;
  const keys = lines.map(parseVerifierKey);
  const known = lines.filter((_, at) => keys[at]?.kind === 'ed25519');
  return known.length > 0 && !keys.includes(undefined) ? known : undefined;
}

function isSuccessor(from: string, to: string): boolean {
  const [before, after] = [from, to].map(splitVerifierKey);
  if (before === undefined || after === undefined) return false;
  return before.name === after.name && Buffer.compare(before.publicKey, after.publicKey) !== 0;
}
