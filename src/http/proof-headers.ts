import { encodeBase64 } from '../kernel/base64.ts';
import type { Log } from '../kernel/log.ts';
import type { Exchange } from './exchange.ts';
import type { Gate } from './gate.ts';
import { asError } from './thrown.ts';

/** Where the entry of an exchange stands, and its leaf hash. */
export interface EntryPlace {
  readonly index: number;
  readonly leaf: Uint8Array;
}

/** What a caller keeps to prove later what it was answered. The nonces stand nowhere else. */
export function addPlace(
  headers: Record<string, string>,
  { facts: { input, output } }: Pick<Exchange, 'facts'>,
  { index, leaf }: EntryPlace,
): void {
  headers['audit-index'] = String(index);
  headers['audit-leaf'] = encodeBase64(leaf);
  if (input !== undefined)
    headers['audit-nonce'] = output === undefined ? input.nonce : `${input.nonce},${output.nonce}`;
}

export interface ReceiptAdderDeps {
  readonly gate: Pick<Gate, 'receipt'>;
  readonly log: Log;
}

export type ReceiptAdder = (
  headers: Record<string, string>,
  exchange: Exchange,
  index: number,
) => Promise<void>;

/** A receipt that cannot be made now must not fail an answer that is recorded: it can be fetched later. */
export function createReceiptAdder({ gate, log }: ReceiptAdderDeps): ReceiptAdder {
  return async function addReceipt(headers, { attempt, request, facts }, index) {
    const { prefer } = request.headers;
    if (typeof prefer !== 'string' || facts.input === undefined) return;
    try {
      const receipt = await gate.receipt(prefer, index, facts);
      if (receipt === undefined) return;
      headers['audit-receipt'] = receipt;
      headers['preference-applied'] = 'audit-receipt=full';
    } catch (error) {
      log.warn('http.no_receipt', { requestId: attempt.requestId, error: asError(error) });
    }
  };
}
