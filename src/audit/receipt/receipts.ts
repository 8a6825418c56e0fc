import { join } from 'node:path';
import { encodeBase64 } from '../../kernel/base64.ts';
import { type Checkpoint, parseCheckpoint } from '../checkpoint.ts';
import { NoteError, parseNote } from '../note.ts';
import { auditProblems } from '../problems.ts';
import { parseBundle, TILE_WIDTH, tilePath } from '../tile.ts';
import { leafHash, verifyInclusion } from '../tree.ts';
import { receiptProblems } from './problems.ts';
import { createProver, type Prover } from './prover.ts';
import { formatReceipt, type Nonces } from './receipt.ts';
import { findTile, readIfThere } from './tile-files.ts';

/** Makes receipts of what is in the log. Each was checked against its checkpoint before it is given out. */
export interface Receipts {
  /**
   * The receipt of an entry under the newest checkpoint, without nonces. Rejects with `audit.receipt_pending` if no
   * checkpoint covers it yet; `audit.log_corrupt` if what is on the disk does not lead to the signed root.
   */
  read(index: number): Promise<string>;
  /** The same at once: entries that no checkpoint covers are sealed first. Many callers share one seal. */
  full(index: number, nonces?: Nonces): Promise<string>;
  /** The newest checkpoint, as it stands in receipts. */
  checkpoint(): Promise<string>;
}

export interface ReceiptsOptions {
  /** `log/` of the keep, or a copy of it. */
  readonly directory: string;
  /** Signs and returns a checkpoint over everything durable, as `AuditLog.checkpoint` does; without it, `full` is `read`. */
  readonly seal?: () => Promise<string>;
  /** The newest checkpoint, with the cosignatures of witnesses if there are any; default: the file `checkpoint`. */
  readonly published?: () => Promise<string>;
  readonly prover?: Prover;
}

export function createReceipts({
  directory,
  seal,
  published = () => readCheckpoint(directory),
  prover = createProver({ directory }),
}: ReceiptsOptions): Receipts {
  let running: Promise<string> | undefined;
  let next: Promise<string> | undefined;
  return {
    read: async (index) => make(index, await published(), {}),
    async full(index, nonces = {}) {
      const checkpoint = await published();
      if (seal === undefined || headOf(checkpoint).size > index) return make(index, checkpoint, nonces);
      return make(index, await sealed(seal), nonces);
    },
    checkpoint: published,
  };

  /** A seal that began after this call: one runs, one waits, and whoever comes meanwhile waits with it. */
  function sealed(start: () => Promise<string>): Promise<string> {
    if (running === undefined) {
      const own = start().finally(() => {
        if (running === own) running = undefined;
      });
      running = own;
      return own;
    }
    if (next === undefined) {
      const own = running
        .catch(() => '')
        .then(() => {
          next = undefined;
          return sealed(start);
        });
      next = own;
    }
    return next;
  }

  async function make(index: number, checkpoint: string, nonces: Nonces): Promise<string> {
    const { size, root } = headOf(checkpoint);
    if (index >= size) {
      throw receiptProblems.receipt_pending(`The newest checkpoint covers ${size} entries.`, {
        headers: { 'retry-after': '1' },
      });
    }
    const [entry, hashes] = await Promise.all([entryBytes(index, size), prover.inclusion(index, size)]);
    if (!verifyInclusion(index, size, leafHash(entry), hashes, root))
      throw auditProblems.log_corrupt(`entry ${index} does not lead to the signed root`);
    return formatReceipt({ entry, nonces, index, hashes, checkpoint });
  }

  async function entryBytes(index: number, size: number): Promise<Uint8Array> {
    const place = Math.floor(index / TILE_WIDTH);
    const width = Math.min(TILE_WIDTH, size - place * TILE_WIDTH);
    const bundle = await findTile(directory, 'entries', place, width);
    const entry = bundle && parseBundle(bundle.bytes).entries[index % TILE_WIDTH];
    if (entry === undefined)
      throw auditProblems.log_corrupt(`entry ${index} is missing from ${tilePath('entries', place, width)}`);
    return entry;
  }
}

async function readCheckpoint(directory: string): Promise<string> {
  const bytes = await readIfThere(join(directory, 'checkpoint'));
  if (bytes === undefined) throw auditProblems.log_corrupt('there is no checkpoint');
  return bytes.toString();
}

/** The checkpoint in a note of this log itself: whoever gets the receipt checks the signature. */
function headOf(note: string): Checkpoint {
  try {
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    throw error instanceof NoteError ? auditProblems.log_corrupt(error.message) : error;
  }
}

/** Beyond this, clients and proxies may refuse the whole answer. */
const HEADER_CHARS_MAX = 8192;

/** A receipt as the value of the header `Audit-Receipt`; undefined if it is too long for one. */
export function receiptHeader(receipt: string): string | undefined {
  const value = encodeBase64(Buffer.from(receipt));
  return value.length <= HEADER_CHARS_MAX ? value : undefined;
}

/** Claims that a `Prefer` header (RFC 7240) asks for the whole receipt with the answer. */
export function prefersReceipt(prefer: string | undefined): boolean {
  if (prefer === undefined) return false;
  return prefer
    .split(',')
    .some((each) => /^audit-receipt\s*=\s*(?:full|"full")\s*(?:;|$)/i.test(each.trim()));
}
