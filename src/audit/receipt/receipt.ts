import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import { NONCE_BYTES } from '../privacy/commitment.ts';
import { formatTlogProof, parseTlogProof, ReceiptError, type TlogProof } from './tlog-proof.ts';

/** What opens the commitments of an entry. Only the caller of the attempt has them. */
export interface Nonces {
  readonly input?: Uint8Array;
  readonly output?: Uint8Array;
}

/** A tlog-proof that brings along the entry that it is about. */
export interface Receipt extends Omit<TlogProof, 'extra'> {
  /** The entry, byte for byte as it is in the log. */
  readonly entry: Uint8Array;
  readonly nonces: Nonces;
}

export function formatReceipt({ entry, nonces, index, hashes, checkpoint }: Receipt): string {
  const extra = Buffer.from(formatExtra(Buffer.from(entry).toString('utf8'), nonces));
  return formatTlogProof({ extra, index, hashes, checkpoint });
}

/** Throws a ReceiptError unless `formatReceipt` could have written it. */
export function parseReceipt(text: string): Receipt {
  const { extra, ...proof } = parseTlogProof(text);
  if (extra === undefined) throw new ReceiptError('the receipt does not hold its entry');
  return { ...proof, ...parseExtra(extra) };
}

/** The value of the header `Audit-Nonce`: of the input, or of input and output with a comma. Throws a ReceiptError. */
export function parseNonces(text: string): Nonces {
  const [input = '', output, ...rest] = text.split(',');
  if (rest.length > 0 || output === '' || (input === '' && output === undefined))
    throw new ReceiptError('nonces are one base64 text, or two with a comma between them');
  return {
    ...(input !== '' && { input: parseNonce(input) }),
    ...(output !== undefined && { output: parseNonce(output) }),
  };
}

function formatExtra(entry: string, { input, output }: Nonces): string {
  const nonces = {
    ...(input !== undefined && { input: encodeBase64(input) }),
    ...(output !== undefined && { output: encodeBase64(output) }),
  };
  return JSON.stringify({ entry, ...(Object.keys(nonces).length > 0 && { nonces }) });
}

function parseExtra(extra: Uint8Array): Pick<Receipt, 'entry' | 'nonces'> {
  let text: string;
  let value: unknown;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(extra);
    value = JSON.parse(text);
  } catch {
    throw new ReceiptError('the extra data is not JSON');
  }
  const { entry, nonces: texts = {} } = (value ?? {}) as { entry?: unknown; nonces?: Texts };
  if (typeof entry !== 'string' || !entry.isWellFormed() || typeof texts !== 'object' || texts === null)
    throw new ReceiptError('the extra data does not hold an entry');
  const nonces = {
    ...(texts.input !== undefined && { input: parseNonce(texts.input) }),
    ...(texts.output !== undefined && { output: parseNonce(texts.output) }),
  };
  if (formatExtra(entry, nonces) !== text)
    throw new ReceiptError('the extra data holds more than an entry and its nonces');
  return { entry: Buffer.from(entry), nonces };
}

interface Texts {
  readonly input?: unknown;
  readonly output?: unknown;
}

function parseNonce(text: unknown): Uint8Array {
  const nonce = typeof text === 'string' ? parseBase64(text) : undefined;
  if (nonce?.length !== NONCE_BYTES) throw new ReceiptError(`a nonce is base64 of ${NONCE_BYTES} bytes`);
  return nonce;
}
