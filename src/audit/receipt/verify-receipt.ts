import { encodeBase64 } from '../../kernel/base64.ts';
import { openCheckpoint } from '../checkpoint.ts';
import type { Entry } from '../entry.ts';
import { NoteError, type NoteVerifier, parseVerifierKey } from '../note.ts';
import { NONCE_BYTES, opensTo } from '../privacy/commitment.ts';
import { parseEntry } from '../serialise.ts';
import type { Policy } from '../witness/policy.ts';
import { openCosigned } from '../witness/witnessing.ts';
import { leafHash, verifyInclusion } from '../tree.ts';
import { type Nonces, parseReceipt } from './receipt.ts';
import { ReceiptError } from './tlog-proof.ts';
import { type CommitmentState, statementOf } from './statement.ts';

export interface ReceiptQuestion {
  /** A tlog-proof with the entry in it. */
  readonly receipt: string | Uint8Array;
  /** Verifier keys of the log, from a place that its operator cannot change. One of them must have signed. */
  readonly keys?: readonly string[];
  /** The witnesses of which a quorum must have cosigned; and the keys of the log, if `keys` are not given. */
  readonly policy?: Policy;
  /** What was sent to the keep, and what it answered, byte for byte. */
  readonly input?: Uint8Array;
  readonly output?: Uint8Array;
  /** Where the receipt does not hold them: from the header `Audit-Nonce` of the answer. */
  readonly nonces?: Nonces;
}

export type ReceiptVerification = VerifiedReceipt | RefusedReceipt;

export interface VerifiedReceipt {
  readonly ok: true;
  /** Which log; the name of its key. */
  readonly origin: string;
  readonly index: number;
  /** Entries under the checkpoint of the receipt. */
  readonly size: number;
  readonly entry: Entry;
  readonly input: CommitmentState;
  readonly output: CommitmentState;
  /** What follows, in sentences. */
  readonly proven: readonly string[];
  /** What does not. */
  readonly unproven: readonly string[];
}

export interface RefusedReceipt {
  readonly ok: false;
  readonly fault: ReceiptFault;
  readonly reason: string;
}

/**
 * `nonce`: there is none for the bytes that were given, so that nothing is known of them. All others are a receipt that
 * is damaged, forged, or of another exchange.
 */
export type ReceiptFault =
  | 'format'
  | 'signature'
  | 'witnesses'
  | 'inclusion'
  | 'entry'
  | 'nonce'
  | 'input'
  | 'output';

/**
 * Checks a receipt with nothing but the verifier keys; nothing is read, nothing is asked. What is wrong with the receipt
 * is in the result. Throws a TypeError for keys that are none, or if there are none.
 */
export function verifyReceipt(question: ReceiptQuestion): ReceiptVerification {
  const verifiers =
    question.keys?.map(verifierOf) ?? question.policy?.logs.map(({ verifier }) => verifier) ?? [];
  if (verifiers.length === 0) throw new TypeError('a receipt is checked with at least one verifier key');
  try {
    return check(question, verifiers);
  } catch (error) {
    if (error instanceof Refusal) return { ok: false, fault: error.fault, reason: error.message };
    if (error instanceof ReceiptError) return { ok: false, fault: 'format', reason: error.message };
    if (error instanceof NoteError) return { ok: false, fault: 'signature', reason: error.message };
    throw error;
  }
}

class Refusal extends Error {
  readonly fault: ReceiptFault;
  constructor(fault: ReceiptFault, reason: string) {
    super(reason);
    this.fault = fault;
  }
}

function check(question: ReceiptQuestion, verifiers: readonly NoteVerifier[]): VerifiedReceipt {
  const receipt = parseReceipt(textOf(question.receipt));
  const { origin, size, root } = openCheckpoint(receipt.checkpoint, verifiers);
  if (question.policy !== undefined) requireQuorum(receipt.checkpoint, question.policy, verifiers);
  const { index, hashes } = receipt;
  if (!verifyInclusion(index, size, leafHash(receipt.entry), hashes, root)) {
    throw new Refusal('inclusion', `entry ${index} is not this one in the log that was signed`);
  }
  const entry = parseEntry(receipt.entry);
  if (entry === undefined) {
    throw new Refusal('entry', `entry ${index} is signed, and of a format that is not known here`);
  }
  const nonces = { ...receipt.nonces, ...question.nonces };
  const input = open('input', entry.input, nonces.input, question.input);
  const output = open('output', entry.output, nonces.output, question.output);
  const facts = { origin, index, size, entry, input, output };
  return {
    ok: true,
    ...facts,
    ...statementOf(facts, question.policy !== undefined && question.policy.witnesses.length > 0),
  };
}

function requireQuorum(checkpoint: string, policy: Policy, verifiers: readonly NoteVerifier[]): void {
  try {
    openCosigned(checkpoint, policy, verifiers);
  } catch (error) {
    throw error instanceof NoteError ? new Refusal('witnesses', error.message) : error;
  }
}

function open(
  name: 'input' | 'output',
  commitment: string | undefined,
  nonce: Uint8Array | undefined,
  bytes: Uint8Array | undefined,
): CommitmentState {
  if (commitment === undefined) {
    if (bytes === undefined) return 'absent';
    throw new Refusal(name, `the entry says nothing of an ${name}`);
  }
  if (bytes === undefined) return 'unchecked';
  if (nonce === undefined) throw new Refusal('nonce', `the ${name} cannot be checked without its nonce`);
  if (nonce.length !== NONCE_BYTES) throw new Refusal('nonce', `a nonce is ${NONCE_BYTES} bytes`);
  if (!opensTo(commitment, encodeBase64(nonce), bytes))
    throw new Refusal(name, `this is not the ${name} that the entry is about`);
  return 'proven';
}

function verifierOf(vkey: string): NoteVerifier {
  const verifier = parseVerifierKey(vkey.trim());
  if (verifier === undefined) throw new TypeError('this is not a verifier key');
  return verifier;
}

function textOf(receipt: string | Uint8Array): string {
  if (typeof receipt === 'string') return receipt;
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(receipt);
  } catch {
    throw new ReceiptError('the receipt is not UTF-8');
  }
}
