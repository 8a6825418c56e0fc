import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import type { UnfinishedEntry } from './audit-log.ts';
import type { Entry } from './entry.ts';
import type { Sealed } from './integrator.ts';
import type { KeyOverlap } from './key-overlap.ts';
import { auditProblems } from './problems.ts';
import { workerUrl } from './worker-url.ts';

/** The main thread's side of the integrator. */
export interface Sealer {
  readonly opened: Opened;
  /** What is sealed by now. */
  sealed(): Sealed;
  /** Passes on leaf hashes of entries that became durable, in order; they are compared when the entries are sealed. */
  expect(leaves: Uint8Array): void;
  /** Resolves when the entries below `upTo`, which must be durable, are under a published checkpoint. */
  seal(upTo: number): Promise<Sealed>;
  /** From now on both keys sign; everything that is durable must be sealed. */
  rotate(overlap: KeyOverlap): Promise<Sealed>;
  /** Two keys sign, and should not any more. */
  isOverlapOver(): boolean;
  close(): Promise<void>;
}

export interface Opened {
  readonly next: number;
  readonly unfinished: readonly UnfinishedEntry[];
  readonly last?: Pick<Entry, 'id' | 'time'>;
  readonly tornBytes: number;
  /** The active key is not yet that of the log. */
  readonly keyChange?: KeyChange;
}

export interface KeyChange {
  /** Verifier keys. */
  readonly from: string;
  readonly to: string;
  /** The last entry says so already: until when both are to sign. */
  readonly announced?: number;
}

export type SealerRequest =
  | {
      readonly kind: 'seal';
      readonly upTo: number;
      readonly leaves: Uint8Array;
      /** Milliseconds since 1970. */
      readonly now: number;
      /** Signs with both keys from now on instead. */
      readonly overlap?: KeyOverlap;
    }
  | { readonly kind: 'close' };

export type SealerAnswer =
  | ({ readonly kind: 'opened'; readonly sealed: Sealed } & Opened)
  | ({ readonly kind: 'sealed' } & Sealed)
  /** With a code: a Problem, after which nothing can be sealed. Without: an error of the file system; try again. */
  | { readonly kind: 'failed'; readonly reason: string; readonly code?: string };

export interface SealerData {
  readonly directory: string;
  readonly origin: string;
  /**
   * Ed25519 private keys, the active one first, then older ones that may still be the log's; and one of ML-DSA-44 if
   * checkpoints are to have its line, too.
   */
  readonly keys: readonly KeyObject[];
  /** When it is opened, milliseconds since 1970. */
  readonly now: number;
}

/**
 * Opens the log in a thread of its own. Rejects with `audit.log_corrupt`, `audit.key_mismatch`, or `audit.unavailable`
 * if the files cannot be read or written. `onFailure` is told when nothing can be sealed any more.
 */
export async function openSealer(
  { clock, ...options }: Omit<SealerData, 'now'> & { readonly clock: Pick<Clock, 'now'> },
  onFailure: (reason: string) => void,
): Promise<Sealer> {
  const data: SealerData = { ...options, now: clock.now() };
  const worker = new Worker(workerUrl('integrator-worker', import.meta.url), { workerData: data });
  let waiting = Promise.withResolvers<SealerAnswer>();
  let leaves: Uint8Array[] = [];
  let turn: Promise<unknown> = Promise.resolve();
  let hasStopped = false;
  worker.on('message', (answer: SealerAnswer) => waiting.resolve(answer));
  worker.on('error', (error) => waiting.resolve({ ...STOPPED, reason: error.message }));
  worker.on('exit', () => {
    hasStopped = true;
    waiting.resolve(STOPPED);
  });
  const answer = await waiting.promise;
  worker.unref();
  if (answer.kind !== 'opened') throw refusal(answer);
  let { sealed } = answer;
  return {
    opened: answer,
    sealed: () => sealed,
    expect(more) {
      leaves.push(more);
    },
    seal(upTo) {
      return inTurn(() => (sealed.size >= upTo && !isOverlapOver() ? sealed : ask(upTo)));
    },
    rotate(overlap) {
      return inTurn(() => ask(sealed.size, overlap));
    },
    isOverlapOver,
    async close() {
      await turn;
      if (hasStopped) return;
      const exit = new Promise<void>((resolve) => {
        worker.once('exit', () => resolve());
      });
      worker.ref();
      worker.postMessage({ kind: 'close' } satisfies SealerRequest, []);
      await exit;
    },
  };

  function inTurn(work: () => Sealed | Promise<Sealed>): Promise<Sealed> {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  }

  function isOverlapOver(): boolean {
    return sealed.overlapUntil !== undefined && clock.now() >= sealed.overlapUntil;
  }

  async function ask(upTo: number, overlap?: KeyOverlap): Promise<Sealed> {
    if (hasStopped) throw refusal(STOPPED);
    waiting = Promise.withResolvers();
    const batch = Uint8Array.from(Buffer.concat(leaves));
    leaves = [];
    worker.ref();
    const request: SealerRequest = {
      kind: 'seal',
      upTo,
      leaves: batch,
      now: clock.now(),
      ...(overlap !== undefined && { overlap }),
    };
    worker.postMessage(request, [batch.buffer]);
    const answer = await waiting.promise;
    worker.unref();
    if (answer.kind !== 'sealed') {
      if (answer.kind === 'failed' && answer.code !== undefined) onFailure(answer.reason);
      throw refusal(answer);
    }
    const { kind: _, ...head } = answer;
    sealed = head;
    return sealed;
  }
}

const STOPPED = {
  kind: 'failed',
  reason: 'the thread that seals has stopped',
  code: auditProblems.unavailable.code,
} as const satisfies SealerAnswer;

function refusal(answer: SealerAnswer): Error {
  const reason = answer.kind === 'failed' ? answer.reason : 'the thread that seals gave a wrong answer';
  const code = answer.kind === 'failed' ? answer.code : undefined;
  if (code === auditProblems.log_corrupt.code) return auditProblems.log_corrupt(reason);
  if (code === auditProblems.key_mismatch.code) return auditProblems.key_mismatch(reason);
  return auditProblems.unavailable('The audit log could not be sealed.', { cause: new Error(reason) });
}
