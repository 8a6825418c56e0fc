import { type CheckpointText, formatCheckpoint, readCheckpoint } from './checkpoint-text.ts';
import {
  listOf,
  type Note,
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  parseNote,
  signNote,
  type VerifiedSignature,
  verifyNote,
} from './note.ts';
import { hex } from './verifier-key.ts';

/** The head of the log (C2SP tlog-checkpoint): origin, size, root, each on its line, in a signed note. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * With several signers, one line for each: the old key and the new one while a log changes its key, and the ML-DSA-44
 * key of a log that has one.
 */
export function signCheckpoint(checkpoint: Checkpoint, signers: NoteSigner | readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/**
 * The checkpoint in a note signed by one of `verifiers` of each kind that is among them for its origin: with an ML-DSA-44
 * key, whoever can forge Ed25519 gains nothing. Extension lines are refused: nobody could audit them. Throws a NoteError,
 * also if the signature of any other of `verifiers` is bad.
 */
export function openCheckpoint(note: string, verifiers: NoteVerifier | readonly NoteVerifier[]): Checkpoint {
  const { checkpoint } = verifyCheckpoint(parseNote(note), listOf(verifiers));
  const { extensions, ...head } = checkpoint;
  if (extensions.length > 0) throw new NoteError('the checkpoint does not have three lines');
  return head;
}

/** As `openCheckpoint`, with the signatures that count, and whatever lines the log has added. */
export function verifyCheckpoint(
  note: Note,
  verifiers: readonly NoteVerifier[],
): { readonly checkpoint: CheckpointText; readonly verified: readonly VerifiedSignature[] } {
  const { text, verified } = verifyNote(note, verifiers);
  const checkpoint = parseCheckpoint(text);
  const { origin } = checkpoint;
  const own = verified.filter(({ name }) => name === origin);
  if (own.length === 0) throw new NoteError(`the checkpoint is of another log, ${JSON.stringify(origin)}`);
  const missing = verifiers.find(
    ({ name, kind }) => name === origin && !own.some(({ verifier }) => verifier.kind === kind),
  );
  if (missing !== undefined) {
    const key = `${missing.name}+${hex(missing.keyId)}`;
    throw new NoteError(
      `there is no ${KIND_NAMES[missing.kind]} signature by the key ${key}, which was given`,
    );
  }
  return { checkpoint, verified };
}

const KIND_NAMES = { ed25519: 'Ed25519', 'ml-dsa-44': 'ML-DSA-44' } as const;

/** The lines of a checkpoint, whoever signed them. Throws a NoteError; a size from 2^53 on is not taken. */
export function parseCheckpoint(text: string): CheckpointText {
  const checkpoint = readCheckpoint(text);
  if (typeof checkpoint === 'string') throw new NoteError(checkpoint);
  return checkpoint;
}
