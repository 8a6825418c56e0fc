import { encodeBase64, parseBase64 } from '../kernel/base64.ts';
import { HASH_BYTES } from './tree.ts';

/** The lines of a C2SP tlog-checkpoint, without their signatures. */
export interface CheckpointText {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** Lines behind the first three. */
  readonly extensions: readonly string[];
}

/** The three lines that are signed. */
export function formatCheckpoint({ origin, size, root }: Omit<CheckpointText, 'extensions'>): string {
  return `${origin}\n${size}\n${encodeBase64(root)}\n`;
}

/** What is wrong with it if it is none; a size from 2^53 on is not taken. */
export function readCheckpoint(text: string): CheckpointText | string {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n');
  if (rest.pop() !== '' || origin === '' || rest.includes(''))
    return 'the checkpoint does not have three lines';
  const size = parseSize(sizeText);
  if (size === undefined) return 'the checkpoint has no valid size';
  const root = parseBase64(rootText);
  if (root?.length !== HASH_BYTES) return 'the checkpoint has no valid root hash';
  return { origin, size, root, extensions: rest };
}

/** A decimal number without leading zeros and below 2^53. */
export function parseSize(text: string): number | undefined {
  const size = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
