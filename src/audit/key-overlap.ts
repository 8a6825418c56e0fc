import type { KeyObject } from 'node:crypto';
import { createNoteSigner, type NoteSigner, type NoteVerifier, parseVerifierKey } from './note.ts';
import type { State } from './state.ts';

/** The new key of a log, and until when the old one signs beside it, milliseconds since 1970. */
export interface KeyOverlap {
  /** Verifier key. */
  readonly to: string;
  readonly until: number;
}

/** The private keys of one log. */
export interface LogKeys {
  /** Signs new logs, and succeeds the key of this one. */
  readonly active: NoteSigner;
  /** By verifier key. */
  readonly signers: ReadonlyMap<string, NoteSigner>;
  readonly verifiers: readonly NoteVerifier[];
}

/** `keys` are Ed25519 private keys, the active one first. Throws a TypeError for others, or if there is none. */
export function createLogKeys(origin: string, keys: readonly KeyObject[]): LogKeys {
  const signers = keys.map((key) => createNoteSigner(origin, key));
  const [active] = signers;
  if (active === undefined) throw new TypeError('a log is signed with at least one key');
  const verifiers = signers.map(({ vkey }) => {
    const verifier = parseVerifierKey(vkey);
    if (verifier === undefined) throw new TypeError('the signing key has no verifier key');
    return verifier;
  });
  return { active, signers: new Map(signers.map((signer) => [signer.vkey, signer])), verifiers };
}

type Keyed = Pick<State, 'vkey' | 'rotation'>;

/** The verifier keys that checkpoints verify with, the present one first. */
export function vkeysOf({ vkey, rotation }: Keyed): readonly [string, ...string[]] {
  return rotation === undefined ? [vkey] : [rotation.to, vkey];
}

/** The file `vkey`. */
export function formatVkeys(state: Keyed): string {
  return vkeysOf(state)
    .map((vkey) => `${vkey}\n`)
    .join('');
}

/** Who signs; empty if none of the keys is here. */
export function signersOf(state: Keyed, { signers }: LogKeys): readonly NoteSigner[] {
  return vkeysOf(state).flatMap((vkey) => signers.get(vkey) ?? []);
}

/** The state with a rotation ended that is over, by time or because the old key is gone; else the same object. */
export function endOverlap(state: State, { signers }: LogKeys, now: number): State {
  const { rotation, ...rest } = state;
  if (rotation === undefined || (now < rotation.until && signers.has(state.vkey))) return state;
  return { ...rest, vkey: rotation.to };
}

/** From which key to which the log is to change now; undefined if it has its active key, or changes already. */
export function successionOf(
  { vkey, rotation }: Keyed,
  { active }: LogKeys,
): { readonly from: string; readonly to: string } | undefined {
  return rotation !== undefined || vkey === active.vkey ? undefined : { from: vkey, to: active.vkey };
}
