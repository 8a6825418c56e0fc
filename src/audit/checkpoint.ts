import { encodeBase64, parseBase64 } from '../kernel/base64.ts';
import { NoteError, type NoteSigner, type NoteVerifier, openNote, signNote } from './note.ts';
import { HASH_BYTES } from './tree.ts';

/** The head of the log (C2SP tlog-checkpoint): origin, size, root, each on its line, in a signed note. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export function signCheckpoint({ origin, size, root }: Checkpoint, signer: NoteSigner): string {
  return signNote(`${origin}\n${size}\n${encodeBase64(root)}\n`, signer);
}

/**
 * The checkpoint in a note signed by `verifier`, whose name must be the origin. Extension lines are refused: nobody
 * could audit them. Throws a NoteError.
 */
export function openCheckpoint(note: string, verifier: NoteVerifier): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', end, ...rest] = openNote(note, verifier).split('\n');
  if (end !== '' || rest.length > 0) throw new NoteError('the checkpoint does not have three lines');
  if (origin !== verifier.name)
    throw new NoteError(`the checkpoint is of another log, ${JSON.stringify(origin)}`);
  const size = /^(0|[1-9][0-9]{0,15})$/.test(sizeText) ? Number(sizeText) : Number.NaN;
  if (!Number.isSafeInteger(size)) throw new NoteError('the checkpoint has no valid size');
  const root = parseBase64(rootText);
  if (root?.length !== HASH_BYTES) throw new NoteError('the checkpoint has no valid root hash');
  return { origin, size, root };
}
