import { hash } from 'node:crypto';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { parseSize } from '../checkpoint-text.ts';
import { NoteError } from '../note.ts';
import { HASH_BYTES } from '../tree.ts';

/** What both sides of C2SP tlog-witness say to each other. */

/** The body of `add-checkpoint`. */
export interface Submission {
  /** Size of the checkpoint that the witness cosigned last, 0 if none. */
  readonly old: number;
  /** RFC 6962 consistency proof from there to the checkpoint. */
  readonly proof: readonly Uint8Array[];
  /** A signed note. */
  readonly checkpoint: string;
}

export const PROOF_LINES_MAX = 63;
/** 63 proof lines, and a checkpoint with some twenty ML-DSA-44 signatures. */
export const SUBMISSION_BYTES_MAX = 128 * 1024;
export const SIZE_TYPE = 'text/x.tlog.size';

export function formatSubmission({ old, proof, checkpoint }: Submission): string {
  return `old ${old}\n${proof.map((each) => `${encodeBase64(each)}\n`).join('')}\n${checkpoint}`;
}

/** Throws a NoteError if `body` is malformed. The checkpoint is not looked at. */
export function parseSubmission(body: string): Submission {
  const split = body.indexOf('\n\n');
  if (split === -1) throw new NoteError('the body has no empty line');
  const [first = '', ...lines] = body.slice(0, split).split('\n');
  const old = first.startsWith('old ') ? parseSize(first.slice(4)) : undefined;
  if (old === undefined) throw new NoteError('the first line is not "old" and a size');
  if (lines.length > PROOF_LINES_MAX) throw new NoteError(`the proof has more than ${PROOF_LINES_MAX} lines`);
  const proof = lines.map((line) => {
    const node = parseBase64(line);
    if (node?.length !== HASH_BYTES) throw new NoteError('a line of the proof is not the base64 of a hash');
    return node;
  });
  return { old, proof, checkpoint: body.slice(split + 2) };
}

/** What stands for a log in the address of its checkpoint at a witness. */
export function originHash(origin: string): string {
  return hash('sha256', origin, 'hex');
}

/** Bytes as text; undefined if they are not UTF-8. A byte order mark stays and is refused by whoever reads on. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
