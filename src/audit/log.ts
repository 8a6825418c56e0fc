import type { KeyObject } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { AuditLog, Verification } from './audit-log.ts';
import { readBundles } from './bundle-source.ts';
import { COALESCE_LIMITS, type CoalesceLimits, createCoalescer } from './coalesce.ts';
import type { Entry, EntryDraft } from './entry.ts';
import { createGrowth } from './growth.ts';
import { changeKey } from './key-change.ts';
import type { Privacy } from './privacy/privacy.ts';
import { auditProblems } from './problems.ts';
import { finishRemoval, PRUNE_ACTION, readPruned, removeBundles, writePruned } from './prune.ts';
import { createReserve, measureSpace, type Space, type SpaceLevel } from './reserve.ts';
import { sealSource } from './sealed-source.ts';
import { openSealer } from './sealer.ts';
import { readIndexed, searchBundles } from './search.ts';
import { mayBeCut, serialiseEntry } from './serialise.ts';
import { createRecent } from './recent.ts';
import { createStamp } from './stamp.ts';
import { readState } from './state.ts';
import { TILE_WIDTH } from './tile.ts';
import { createHandover } from './wal/handover.ts';
import type { WriterData } from './wal/protocol.ts';
import { openWriter, type Writer, type WriterThread } from './wal/writer.ts';
import { workerUrl } from './worker-url.ts';

export interface AuditLogOptions {
  /** `log/` of the keep; made if it is not there. The caller holds the keep's lock. */
  readonly directory: string;
  /** Ed25519 private key. */
  readonly signingKey: KeyObject;
  /**
   * Older keys of the log. If it was signed by one of them, it changes to `signingKey`: an entry says so, and both sign
   * for a while. An ML-DSA-44 key among them puts its line on every checkpoint.
   */
  readonly previousKeys?: readonly KeyObject[];
  /** Names the log and its key: no white space, no plus sign; `keep.example.org/audit`. */
  readonly origin: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Seals the sources of entries. Without it they are recorded as they are given. */
  readonly privacy?: Pick<Privacy, 'seal' | 'reveal' | 'prepare'>;
  /** Disk space kept back for refusals and the owner, in a file beside `directory`; default none. */
  readonly reserve?: { readonly path: string; readonly bytes: number };
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
  readonly coalesce: CoalesceLimits;
  /** Counts of a flood are recorded at most this long after the first, milliseconds. */
  readonly coalesceMs: number;
  /** How long both keys sign when the log changes its key, milliseconds. */
  readonly keyOverlapMs: number;
  /** Free and total space where the log lies. */
  readonly measure: (directory: string) => Promise<Space>;
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
  coalesce: COALESCE_LIMITS,
  coalesceMs: 1000,
  keyOverlapMs: 30 * 86_400_000,
  measure: measureSpace,
  startWriter: (workerData) => new Worker(workerUrl('wal/writer-worker', import.meta.url), { workerData }),
};

/**
 * Opens the log, checks its end against the signed checkpoint, and cuts off a last write that never finished. Rejects
 * with `audit.log_corrupt` naming the first bad entry, `audit.key_mismatch`, or `audit.unavailable`.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const { directory, signingKey, previousKeys = [], origin, clock, log, privacy } = options;
  const tuning = { ...TUNING, ...options.tuning };
  let timer: NodeJS.Timeout | undefined;
  let closing: Promise<void> | undefined;
  const keys = [signingKey, ...previousKeys];
  const sealer = await openSealer({ directory, origin, keys, clock }, (reason) => writer.fail(reason));
  const { opened } = sealer;
  const growth = createGrowth();
  const recent = createRecent();
  if (opened.tornBytes > 0)
    log.warn('audit.torn_write_removed', { bytes: opened.tornBytes, entry: opened.next });
  const { segmentBytes, checkMs } = tuning;
  const handover = createHandover();
  const { memory } = handover;
  const writer = await openWriter({
    thread: tuning.startWriter({ directory, first: opened.next, segmentBytes, checkMs, memory }),
    handover,
    first: opened.next,
    clock,
    queueMax: tuning.queueMax,
    stallMsMax: tuning.stallMsMax,
    onDurable(leaves) {
      sealer.expect(leaves);
      scheduleSeal();
      growth.grew();
    },
    onFailure: (reason) => log.error('audit.unavailable', { reason }),
  }).catch(async (error: unknown) => {
    await sealer.close();
    throw error;
  });
  const stamps = createStamp(clock, opened.last);
  const reserve = createReserve({
    path: '',
    bytes: 0,
    ...options.reserve,
    measure: () => tuning.measure(directory),
    onLevel(level, { freeBytes }) {
      if (level === 'ample') log.info('audit.space_ample', { freeBytes });
      else if (level === 'low') log.warn('audit.space_low', { freeBytes });
      else log.error('audit.reserve_used', { freeBytes });
    },
  });
  await reserve.check();
  let flushing: NodeJS.Timeout | undefined;
  let first = readPruned(directory)?.below ?? 0;
  let pruning: Promise<number> = finishRemoval(directory, first).then(() => 0);
  const coalescer = createCoalescer({
    append: (draft) => auditLog.append(draft),
    clock,
    limits: tuning.coalesce,
    onFirst() {
      if (closing !== undefined || writer.failure() !== undefined) return;
      flushing ??= setTimeout(() => void flushCounts(), tuning.coalesceMs).unref();
    },
  });
  let hasStalled = false;
  const watch = setInterval(look, tuning.checkMs).unref();

  const auditLog: AuditLog = {
    async append(draft) {
      if (reserve.level() === 'used' && !maySpend(draft)) throw spent();
      const { entry: stamped, step } = stamps.stamp(draft);
      const entry = sealSource(stamped, privacy);
      // If the step cannot be recorded, neither can the entry behind it.
      if (step !== undefined) write(step).catch(() => {});
      const { index, leaf } = await write(entry);
      return { index, id: entry.id, leaf };
    },
    async appendRefusal(draft) {
      const counts = closing === undefined && writer.failure() === undefined;
      return counts && coalescer.takes(draft) ? undefined : await auditLog.append(draft);
    },
    size: () => writer.size(),
    first: () => first,
    prune(below) {
      pruning = pruning.then(
        () => prune(below),
        () => prune(below),
      );
      return pruning;
    },
    available: () => writer.failure() === undefined,
    reason: () => writer.failure(),
    readiness: () => readinessOf(writer, reserve.level()),
    space: () => reserve.level(),
    async checkpoint() {
      const { checkpoint } = await sealer.seal(writer.size());
      return checkpoint;
    },
    get vkey() {
      return sealer.sealed().vkeys[0];
    },
    vkeys: () => sealer.sealed().vkeys,
    async entries(query) {
      return await searchBundles(directory, { first, size: await readable() }, query);
    },
    async entry(index) {
      if (!Number.isSafeInteger(index) || index < first || index >= writer.size()) return undefined;
      const size = await readable();
      return index < size ? await readIndexed(directory, size, index) : undefined;
    },
    reveal: (entry) => privacy?.reveal(entry) ?? entry,
    unfinished: () => opened.unfinished,
    source: {
      size: () => writer.size(),
      async read(from, limit) {
        const begin = Math.max(from, first);
        const found = recent.read(begin, limit);
        if (found.length > 0 || begin >= writer.size()) return found;
        return readBundles(directory, { from: begin, limit, size: await readable() });
      },
      onGrowth: (listener) => growth.onGrowth(listener),
    },
    async verify() {
      const { vkeys } = await sealer.seal(writer.size());
      return await verifyInThread(directory, vkeys);
    },
    close() {
      closing ??= close();
      return closing;
    },
  };
  if (opened.keyChange !== undefined) {
    const overlapMs = tuning.keyOverlapMs;
    const append: AuditLog['append'] = (draft) => auditLog.append(draft);
    await changeKey({ change: opened.keyChange, append, sealer, clock, overlapMs, log }).catch(
      async (error: unknown) => {
        await auditLog.close().catch(() => {});
        throw error;
      },
    );
  }
  return auditLog;

  async function write(entry: Entry): ReturnType<Writer['append']> {
    const text = serialiseEntry(entry);
    const place = await writer.append(text);
    recent.add(place.index, text, place.leaf, mayBeCut(text) ? undefined : entry);
    return place;
  }

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

  async function prune(below: number): Promise<number> {
    const { size } = await sealer.seal(writer.size());
    const { unfinishedFrom = 0 } = readState(directory)?.state ?? {};
    const until = Math.floor(Math.min(below, unfinishedFrom, size) / TILE_WIDTH) * TILE_WIDTH;
    const entries = until - first;
    if (entries <= 0) return 0;
    const detail = { below: until, entries };
    const { index } = await auditLog.append({
      phase: 'single',
      action: PRUNE_ACTION,
      principal: { kind: 'system' },
      resource: '/audit',
      decision: 'allow',
      reason: 'retention',
      detail,
    });
    // Under a checkpoint first: from then on their absence is explained.
    await sealer.seal(index + 1);
    writePruned(directory, { below: until, entry: index });
    const from = first;
    first = until;
    await removeBundles(directory, from, until);
    log.info('audit.pruned', detail);
    return entries;
  }

  /** Counts of a flood; those that could not be recorded wait for the next turn. */
  async function flushCounts(): Promise<void> {
    clearTimeout(flushing);
    flushing = undefined;
    try {
      await coalescer.flush();
    } catch (error) {
      log.error('audit.counts_unrecorded', { error: error as Error });
    }
  }

  /** Every second or so: a disk that fills up or does not answer is noticed even while nobody writes. */
  function look(): void {
    void reserve.check();
    if (sealer.isOverlapOver() && writer.failure() === undefined) scheduleSeal();
    privacy?.prepare().catch((error: Error) => log.error('audit.privacy_failed', { error }));
    const isStalled = writer.stalled();
    if (isStalled) {
      const refused = writer.shed();
      if (!hasStalled) log.error('audit.stalled', { ms: tuning.stallMsMax, refused });
    } else if (hasStalled) log.info('audit.stall_over');
    hasStalled = isStalled;
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
    clearInterval(watch);
    await flushCounts();
    clearTimeout(flushing);
    await writer.close();
    clearTimeout(timer);
    try {
      await sealer.seal(writer.size());
    } finally {
      await sealer.close();
    }
  }
}

/** What may still be recorded when the disk is full: refusals, ends of what has happened, and whoever makes room. */
function maySpend({ decision, phase, principal }: EntryDraft): boolean {
  return decision !== 'allow' || phase === 'end' || principal.kind === 'local' || principal.kind === 'system';
}

function spent(): Error {
  return auditProblems.unavailable('The disk is nearly full, so only refusals are recorded.', {
    headers: { 'retry-after': '60' },
  });
}

/** In words fit for a stranger. */
function readinessOf(
  writer: Pick<Writer, 'failure' | 'stalled'>,
  level: SpaceLevel,
): ReturnType<AuditLog['readiness']> {
  const reasons = [
    ...(writer.failure() === undefined ? [] : ['the audit log cannot be written']),
    ...(writer.stalled() ? ['the disk of the audit log does not answer'] : []),
    ...(level === 'used' ? ['the disk of the audit log is nearly full'] : []),
  ];
  return { ready: reasons.length === 0, reasons };
}

/** In a thread of its own: a check reads and hashes everything there is. */
async function verifyInThread(directory: string, vkeys: readonly string[]): Promise<Verification> {
  const url = workerUrl('verify-worker', import.meta.url);
  const worker = new Worker(url, { workerData: { directory, vkeys } });
  return await new Promise((resolve, reject) => {
    const fail = (cause: unknown): void =>
      reject(auditProblems.unavailable('The audit log could not be checked.', { cause }));
    worker.once('message', resolve);
    worker.once('error', fail);
    worker.once('exit', () => fail(new Error('the thread that checks has stopped')));
  });
}
