import { encodeBase64, parseBase64 } from '../kernel/base64.ts';
import {
  listOf,
  NoteError,
  type NoteSigner,
  type NoteVerifier,
  parseNote,
  signNote,
  verifyNote,
} from './note.ts';
import { HASH_BYTES } from './tree.ts';

/** The head of the log (C2SP tlog-checkpoint): origin, size, root, each on its line, in a signed note. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

/** With several signers, one line for each: the old key and the new one while a log changes its key. */
export function signCheckpoint(checkpoint: Checkpoint, signers: NoteSigner | readonly NoteSigner[]): string {
  return signNote(formatCheckpoint(checkpoint), signers);
}

/** The three lines that are signed. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\n`;
}

/**
 * The checkpoint in a note signed by one of `verifiers`; the origin must be the name of one that signed. Extension lines
 * are refused: nobody could audit them. Throws a NoteError, also if the signature of any other of `verifiers` is bad.
 */
export function openCheckpoint(note: string, verifiers: NoteVerifier | readonly NoteVerifier[]): Checkpoint {
  const { text, verified } = verifyNote(parseNote(note), listOf(verifiers));
  const { extensions, ...checkpoint } = parseCheckpoint(text);
  if (extensions.length > 0) throw new NoteError('the checkpoint does not have three lines');
  if (!verified.some(({ name }) => name === checkpoint.origin))
    throw new NoteError(`the checkpoint is of another log, ${JSON.stringify(checkpoint.origin)}`);
  return checkpoint;
}

/** The lines of a checkpoint, whoever signed them. Throws a NoteError; a size from 2^53 on is not taken. */
export function parseCheckpoint(text: string): Checkpoint & { readonly extensions: readonly string[] } {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n');
  if (rest.pop() !== '' || origin === '' || rest.includes(''))
    throw new NoteError('the checkpoint does not have three lines');
  const size = parseSize(sizeText);
  if (size === undefined) throw new NoteError('the checkpoint has no valid size');
  const root = parseBase64(rootText);
  if (root?.length !== HASH_BYTES) throw new NoteError('the checkpoint has no valid root hash');
  return { origin, size, root, extensions: rest };
}

/** A decimal number without leading zeros and below 2^53. */
export function parseSize(text: string): number | undefined {
  const size = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
