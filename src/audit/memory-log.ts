import { generateKeyPairSync } from 'node:crypto';
import { type Clock, createManualClock } from '../kernel/clock.ts';
import type { AuditLog, IndexedEntry } from './audit-log.ts';
import { signCheckpoint } from './checkpoint.ts';
import type { Entry } from './entry.ts';
import { createGrowth } from './growth.ts';
import { createNoteSigner } from './note.ts';
import { auditProblems } from './problems.ts';
import { LIMIT_DEFAULT, LIMIT_MAX, matches } from './search.ts';
import { parseEntry, serialiseEntry } from './serialise.ts';
import { sealSource } from './sealed-source.ts';
import { createStamp } from './stamp.ts';
import { createRange, leafHash } from './tree.ts';

/** An audit log for tests: the same serialiser, tree and signature, nothing on the disk. */
export interface MemoryAuditLog extends AuditLog {
  /** Everything recorded, oldest first. */
  recorded(): readonly Entry[];
  /** From now on nothing can be recorded, as after a failed write. */
  fail(reason: string): void;
}

export function createMemoryAuditLog({
  clock = createManualClock(),
}: {
  clock?: Clock;
} = {}): MemoryAuditLog {
  const signer = createNoteSigner('memory.test/audit', generateKeyPairSync('ed25519').privateKey);
  const stamps = createStamp(clock);
  const entries: IndexedEntry[] = [];
  const range = createRange();
  let failure: string | undefined;
  const checkpoint = (): string =>
    signCheckpoint({ origin: signer.name, size: range.size(), root: range.root() }, signer);
  const growth = createGrowth();
  const add = (entry: Entry): IndexedEntry => {
    const bytes = Buffer.from(serialiseEntry(entry));
    const stored = parseEntry(bytes);
    if (stored === undefined) throw new TypeError('an entry did not survive being written');
    const indexed = { index: entries.length, leaf: leafHash(bytes), entry: stored };
    entries.push(indexed);
    range.append(indexed.leaf);
    growth.grew();
    return indexed;
  };
  const log: MemoryAuditLog = {
    appendRefusal: (draft) => log.append(draft),
    async append(draft) {
      if (failure !== undefined) {
        throw auditProblems.unavailable('The attempt could not be recorded, so it was refused.', {
          cause: new Error(failure),
        });
      }
      const { entry: stamped, step } = stamps.stamp(draft);
      const entry = sealSource(stamped, undefined);
      serialiseEntry(entry);
      if (step !== undefined) add(step);
      const { index, leaf } = add(entry);
      return { index, id: entry.id, leaf };
    },
    size: () => entries.length,
    first: () => 0,
    prune: async () => 0,
    available: () => failure === undefined,
    reason: () => failure,
    readiness: () => ({
      ready: failure === undefined,
      reasons: failure === undefined ? [] : ['the audit log cannot be written'],
    }),
    space: () => 'ample',
    checkpoint: async () => checkpoint(),
    vkey: signer.vkey,
    vkeys: () => [signer.vkey],
    async entries(query) {
      const limit = Math.min(Math.max(1, query.limit ?? LIMIT_DEFAULT), LIMIT_MAX);
      const { before = entries.length, after = -1 } = query;
      const found = entries
        .filter(({ index, entry }) => index < before && index > after && matches(entry, query))
        .reverse()
        .slice(0, limit);
      const last = found.at(-1)?.index;
      const isMore = found.length === limit && last !== undefined && last > after + 1;
      return { entries: found, ...(isMore && { before: last }) };
    },
    entry: async (index) => entries[index],
    reveal: (entry) => entry,
    unfinished: () => [],
    source: {
      size: () => entries.length,
      read: async (from, limit) => entries.slice(from, from + limit),
      onGrowth: (listener) => growth.onGrowth(listener),
    },
    async verify() {
      const root = Buffer.from(range.root()).toString('base64');
      return { ok: true, size: entries.length, root, unsealed: 0, problems: [] };
    },
    async close() {
      failure ??= 'the log is closed';
    },
    recorded: () => entries.map(({ entry }) => entry),
    fail(reason) {
      failure ??= reason;
    },
  };
  return log;
}
