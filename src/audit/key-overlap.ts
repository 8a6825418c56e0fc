import type { KeyObject } from 'node:crypto';
import {
  createNoteSigner,
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  parseNote,
  parseVerifierKey,
  verifyNote,
} from './note.ts';
import type { State } from './state.ts';
import { type Cosigner, createCosigner, createCosigningSigner } from './witness/cosignature.ts';

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
  /** Of ML-DSA-44: signs beside whoever signs. What it signed is demanded by others, never by the log itself. */
  readonly cosigner?: Cosigner;
}

/**
 * `keys` are Ed25519 private keys, the active one first, and perhaps one of ML-DSA-44. Throws a TypeError for others, or
 * if there is none of Ed25519.
 */
export function createLogKeys(origin: string, keys: readonly KeyObject[]): LogKeys {
  const isMlDsa = ({ asymmetricKeyType }: KeyObject): boolean => asymmetricKeyType === ML_DSA_44;
  const [cosigner, ...more] = keys.filter(isMlDsa).map((key) => createCosigner(origin, key));
  if (more.length > 0) throw new TypeError('a log has at most one ML-DSA-44 key');
  const signers = keys.filter((key) => !isMlDsa(key)).map((key) => createNoteSigner(origin, key));
  const [active] = signers;
  if (active === undefined) throw new TypeError('a log is signed with at least one key');
  const verifiers = signers.map(({ vkey }) => {
    const verifier = parseVerifierKey(vkey);
    if (verifier === undefined) throw new TypeError('the signing key has no verifier key');
    return verifier;
  });
  return {
    active,
    signers: new Map(signers.map((signer) => [signer.vkey, signer])),
    verifiers,
    ...(cosigner !== undefined && { cosigner }),
  };
}

// The types of Node do not know it yet.
const ML_DSA_44 = 'ml-dsa-44' as KeyObject['asymmetricKeyType'];

type Keyed = Pick<State, 'vkey' | 'rotation'>;

/** The Ed25519 verifier keys that checkpoints verify with, the present one first. */
export function vkeysOf({ vkey, rotation }: Keyed): readonly [string, ...string[]] {
  return rotation === undefined ? [vkey] : [rotation.to, vkey];
}

/** All verifier keys: behind those of Ed25519 that of ML-DSA-44. */
export function allVkeysOf(
  state: Keyed,
  { cosigner }: Pick<LogKeys, 'cosigner'>,
): readonly [string, ...string[]] {
  return cosigner === undefined ? vkeysOf(state) : [...vkeysOf(state), cosigner.vkey];
}

/** The file `vkey`. */
export function formatVkeys(state: Keyed, keys: Pick<LogKeys, 'cosigner'> = {}): string {
  return allVkeysOf(state, keys)
    .map((vkey) => `${vkey}\n`)
    .join('');
}

/** Who signs at `now`, milliseconds since 1970; empty if none of the Ed25519 keys is here. */
export function signersOf(state: Keyed, { signers, cosigner }: LogKeys, now: number): readonly NoteSigner[] {
  const own = vkeysOf(state).flatMap((vkey) => signers.get(vkey) ?? []);
  return own.length === 0 || cosigner === undefined ? own : [...own, cosigningSigner(cosigner, now)];
}

/** A clock before 1970 makes no statement about the time. */
export function cosigningSigner(cosigner: Cosigner, now: number): NoteSigner {
  return createCosigningSigner(cosigner, () => Math.max(0, Math.floor(now / 1000)));
}

/** Claims that each of the keys signed the checkpoint, well, and nobody else did. */
export function isSignedBy(checkpoint: string, vkeys: readonly string[]): boolean {
  const verifiers = vkeys.map(parseVerifierKey).filter((each) => each !== undefined);
  try {
    const note = parseNote(checkpoint);
    const { verified } = verifyNote(note, verifiers);
    return verified.length === vkeys.length && note.signatures.length === vkeys.length;
  } catch (error) {
    if (error instanceof NoteError) return false;
    throw error;
  }
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
