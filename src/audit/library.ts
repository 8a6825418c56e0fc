/**
 * The package entry `modelkeep/audit`: the log as its readers see it, usable without a keep. docs/reference/library-audit.md
 * has a complete program. What is not exported here is not part of the library and changes without notice.
 */

export { Problem } from '../kernel/problem.ts';

export type { Entry, EntryPrincipal } from './entry.ts';
export { parseEntry } from './serialise.ts';

export {
  consistencyProof,
  EMPTY_ROOT,
  inclusionProof,
  leafHash,
  nodeHash,
  verifyConsistency,
  verifyInclusion,
} from './tree.ts';
export type { Subtree } from './tree.ts';
export { tilePath } from './tile.ts';
export type { TileLevel } from './tile.ts';

export { NoteError, parseVerifierKey } from './note.ts';
export type { NoteVerifier } from './note.ts';
export { openCheckpoint } from './checkpoint.ts';
export type { Checkpoint } from './checkpoint.ts';

export { createProver } from './receipt/prover.ts';
export type { Prover } from './receipt/prover.ts';
export { formatReceipt, parseNonces, parseReceipt } from './receipt/receipt.ts';
export type { Nonces, Receipt } from './receipt/receipt.ts';
export { createReceipts } from './receipt/receipts.ts';
export type { Receipts, ReceiptsOptions } from './receipt/receipts.ts';
export type { CommitmentState } from './receipt/statement.ts';
export { formatTlogProof, parseTlogProof, ReceiptError } from './receipt/tlog-proof.ts';
export type { TlogProof } from './receipt/tlog-proof.ts';
export { verifyReceipt } from './receipt/verify-receipt.ts';
export type {
  ReceiptFault,
  ReceiptQuestion,
  ReceiptVerification,
  RefusedReceipt,
  VerifiedReceipt,
} from './receipt/verify-receipt.ts';

export { parsePolicy } from './witness/policy.ts';
export type { Policy } from './witness/policy.ts';

export type { Verification, VerificationProblem, VerificationProgress } from './audit-log.ts';
export { opensTo } from './privacy/commitment.ts';
export { verifyLog } from './verify.ts';
export type { VerifierKeys } from './verify.ts';
