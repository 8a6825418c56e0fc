import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { HASH_BYTES } from '../tree.ts';

/** C2SP tlog-proof: that an entry is in a log, as text that can be checked offline. */
export interface TlogProof {
  /** Opaque; nothing vouches for it. */
  readonly extra?: Uint8Array;
  readonly index: number;
  /** PATH(index) of RFC 6962, from the leaf's sibling upwards. */
  readonly hashes: readonly Uint8Array[];
  /** A signed note, verbatim. */
  readonly checkpoint: string;
}

const MAGIC = 'c2sp.org/tlog-proof@v1';
const TEXT_CHARS_MAX = 2_000_000;
/** No tree whose size is a safe integer is higher. */
const HASHES_MAX = 53;

/** Why a receipt was refused. */
export class ReceiptError extends Error {
  override readonly name = 'ReceiptError';
}

export function formatTlogProof({ extra, index, hashes, checkpoint }: TlogProof): string {
  const lines = [
    MAGIC,
    ...(extra === undefined ? [] : [`extra ${encodeBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map(encodeBase64),
  ];
  return `${lines.join('\n')}\n\n${checkpoint}`;
}

/**
 * Reads the one spelling that `formatTlogProof` writes; throws a ReceiptError for any other. The checkpoint is not
 * looked into: whoever has the key opens it.
 */
export function parseTlogProof(text: string): TlogProof {
  if (text.length > TEXT_CHARS_MAX) throw new ReceiptError('the receipt is too long');
  const end = text.indexOf('\n\n');
  if (end === -1) throw new ReceiptError('the receipt has no checkpoint');
  const [magic, ...lines] = text.slice(0, end).split('\n');
  if (magic !== MAGIC) throw new ReceiptError(`the receipt does not begin with ${MAGIC}`);
  const extraText = lines[0]?.startsWith('extra ') === true ? lines.shift()?.slice(6) : undefined;
  const extra = extraText === undefined ? undefined : parseBase64(extraText);
  if (extraText !== undefined && extra === undefined)
    throw new ReceiptError('the extra data is not canonical base64');
  const [, indexText] = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '') ?? [];
  const index = Number(indexText ?? Number.NaN);
  if (!Number.isSafeInteger(index)) throw new ReceiptError('the receipt has no valid index');
  if (lines.length > HASHES_MAX) throw new ReceiptError('the receipt has too many hashes');
  const hashes = lines.map((line, at) => {
    const hash = parseBase64(line);
    if (hash?.length !== HASH_BYTES) throw new ReceiptError(`hash ${at + 1} of the receipt is malformed`);
    return hash;
  });
  return { ...(extra !== undefined && { extra }), index, hashes, checkpoint: text.slice(end + 2) };
}
