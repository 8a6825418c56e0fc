import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { AuditLog, Verification } from './audit-log.ts';
import { auditProblems } from './problems.ts';
import { openSealer } from './sealer.ts';
import { readIndexed, searchBundles } from './search.ts';
import { serialiseEntry } from './serialise.ts';
import { createStamp } from './stamp.ts';
import type { WriterData } from './wal/protocol.ts';
import { openWriter, type WriterThread } from './wal/writer.ts';
import { workerUrl } from './worker-url.ts';

export interface AuditLogOptions {
  /** `log/` of the keep; made if it is not there. The caller holds the keep's lock. */
  readonly directory: string;
  /** Ed25519 private key. */
  readonly signingKey: KeyObject;
  /** Names the log and its key: no white space, no plus sign; `keep.example.org/audit`. */
  readonly origin: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly tuning?: Partial<AuditTuning>;
}

export interface AuditTuning {
  /** A checkpoint is signed at most this long after an entry, milliseconds. */
  readonly sealMs: number;
  readonly segmentBytes: number;
  readonly checkMs: number;
  readonly queueMax: number;
  readonly stallMsMax: number;
  /** With more entries than this under no checkpoint, nothing more is recorded. */
  readonly unsealedMax: number;
  /** Makes the thread that writes; a test puts a failing one in its place. */
  readonly startWriter: (data: WriterData) => WriterThread;
}

const TUNING: AuditTuning = {
  sealMs: 1000,
  segmentBytes: 8 << 20,
  checkMs: 1000,
  queueMax: 4096,
  stallMsMax: 2000,
  unsealedMax: 1_000_000,
  startWriter: (workerData) => new Worker(workerUrl('wal/writer-worker', import.meta.url), { workerData }),
};

/**
 * Opens the log, checks its end against the signed checkpoint, and cuts off a last write that never finished. Rejects
 * with `audit.log_corrupt` naming the first bad entry, `audit.key_mismatch`, or `audit.unavailable`.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { directory, signingKey, origin, clock, log } = options;
  const tuning = { ...TUNING, ...options.tuning };
  let timer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;
  const sealer = await openSealer({ directory, origin, key: signingKey }, (reason) => writer.fail(reason));
  const { opened } = sealer;
  if (opened.tornBytes > 0)
    log.warn('audit.torn_write_removed', { bytes: opened.tornBytes, entry: opened.next });
  const { segmentBytes, checkMs } = tuning;
  const writer = await openWriter({
    thread: tuning.startWriter({ directory, first: opened.next, segmentBytes, checkMs }),
    first: opened.next,
    clock,
    queueMax: tuning.queueMax,
    stallMsMax: tuning.stallMsMax,
    onDurable(leaves) {
      sealer.expect(leaves);
      scheduleSeal();
    },
    onFailure: (reason) => log.error('audit.unavailable', { reason }),
  }).catch(async (error: unknown) => {
    await sealer.close();
    throw error;
  });
  const stamps = createStamp(clock, opened.last);

  const auditLog: AuditLog = {
    async append(draft) {
      const { entry, step } = stamps.stamp(draft);
      // If the step cannot be recorded, neither can the entry behind it.
      if (step !== undefined) writer.append(serialiseEntry(step)).catch(() => {});
      const { index, leaf } = await writer.append(serialiseEntry(entry));
      return { index, id: entry.id, leaf };
    },
    size: () => writer.size(),
    available: () => writer.failure() === undefined,
    reason: () => writer.failure(),
    async checkpoint() {
      const { checkpoint } = await sealer.seal(writer.size());
      return checkpoint;
    },
    vkey: opened.vkey,
    async entries(query) {
      return await searchBundles(directory, await readable(), query);
    },
    async entry(index) {
      if (!Number.isSafeInteger(index) || index < 0 || index >= writer.size()) return undefined;
      const size = await readable();
      return index < size ? await readIndexed(directory, size, index) : undefined;
    },
    unfinished: () => opened.unfinished,
    async verify() {
      await sealer.seal(writer.size());
      return await verifyInThread(directory, opened.vkey);
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
  return auditLog;

  /** Number of entries that can be read: all of them, or, while nothing can be sealed, those that are. */
  async function readable(): Promise<number> {
    if (closing !== undefined) return sealer.sealed().size;
    try {
      return (await sealer.seal(writer.size())).size;
    } catch (error) {
      log.error('audit.seal_failed', { error: error as Error });
      return sealer.sealed().size;
    }
  }

  function scheduleSeal(): void {
    if (writer.size() - sealer.sealed().size > tuning.unsealedMax) {
      writer.fail(`more than ${tuning.unsealedMax} entries could not be sealed`);
    }
    timer ??= setTimeout(() => {
      timer = undefined;
      sealer.seal(writer.size()).catch((error: Error) => {
        log.error('audit.seal_failed', { error });
        if (closing === undefined && writer.failure() === undefined) scheduleSeal();
      });
    }, tuning.sealMs).unref();
  }

  async function close(): Promise<void> {
    await writer.close();
    clearTimeout(timer);
    try {
      await sealer.seal(writer.size());
    } finally {
      await sealer.close();
    }
  }
}

/** In a thread of its own: a check reads and hashes everything there is. */
async function verifyInThread(directory: string, vkey: string): Promise<Verification> {
  const url = workerUrl('verify-worker', import.meta.url);
  const worker = new Worker(url, { workerData: { directory, vkey } });
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(auditProblems.unavailable('The audit log could not be checked.', { cause }));
    worker.once('message', resolve);
    worker.once('error', fail);
    worker.once('exit', () => fail(new Error('the thread that checks has stopped')));
  });
}
