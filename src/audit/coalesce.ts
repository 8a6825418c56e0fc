import { isIPv6 } from 'node:net';
import type { Clock } from '../kernel/clock.ts';
import type { EntryDraft } from './entry.ts';

/**
 * Keeps a flood of strangers from filling the disk: refusals of one source beyond a rate are counted, and the counts
 * recorded. Whoever names a principal or a credential that exists is no stranger.
 */
export interface Coalescer {
  /** True if the refusal has been counted: it must not be recorded as well. */
  takes(draft: EntryDraft): boolean;
  /** Records the counts; resolves when they are durable. After a failure they are kept and it may be called again. */
  flush(): Promise<void>;
}

export interface CoalesceLimits {
  /** Refusals of one source that are recorded one by one: at once, and per second from then on. */
  readonly burst: number;
  readonly perSecond: number;
  /** The same for all sources together. */
  readonly totalBurst: number;
  readonly totalPerSecond: number;
  /** Sources whose rate is known. */
  readonly sourcesMax: number;
  /** Counts that wait; with more, the sources are not told apart any more. */
  readonly countsMax: number;
}

export const COALESCE_LIMITS: CoalesceLimits = {
  burst: 100,
  perSecond: 10,
  totalBurst: 5000,
  totalPerSecond: 500,
  sourcesMax: 10_000,
  countsMax: 1024,
};

export interface CoalescerOptions {
  readonly append: (draft: EntryDraft) => Promise<unknown>;
  readonly clock: Pick<Clock, 'now' | 'monotonic'>;
  readonly limits: CoalesceLimits;
  /** The first count since the last flush: a flush is due. */
  readonly onFirst: () => void;
}

/** How many may still be recorded one by one, as of a monotonic time in milliseconds. */
interface Bucket {
  left: number;
  at: number;
}

interface Count {
  readonly draft: EntryDraft;
  count: number;
  readonly from: number;
  to: number;
}

export function createCoalescer({ append, clock, limits, onFirst }: CoalescerOptions): Coalescer {
  const total: Bucket = { left: limits.totalBurst, at: clock.monotonic() };
  const sources = new Map<string, Bucket>();
  let counts = new Map<string, Count>();
  return {
    takes(draft) {
      if (!isStranger(draft)) return false;
      const now = clock.monotonic();
      const source = sourceOf(draft);
      const hasRoom = take(bucketOf(source, now), limits.burst, limits.perSecond, now);
      if (hasRoom && take(total, limits.totalBurst, limits.totalPerSecond, now)) return false;
      add(source, draft);
      return true;
    },
    async flush() {
      const due = counts;
      counts = new Map();
      await Promise.all(
        [...due].map(async ([key, each]) => {
          try {
            await append(entryOf(each));
          } catch (error) {
            merge(key, each);
            throw error;
          }
        }),
      );
    },
  };

  function bucketOf(source: string, now: number): Bucket {
    let bucket = sources.get(source);
    if (bucket === undefined) {
      if (sources.size >= limits.sourcesMax) forget(now);
      bucket = { left: limits.burst, at: now };
      sources.set(source, bucket);
    }
    return bucket;
  }

  /** Those that have been quiet long enough to start anew; or else the quarter that is known longest. */
  function forget(now: number): void {
    const quietMs = (limits.burst / limits.perSecond) * 1000;
    for (const [source, { at }] of sources) if (now - at > quietMs) sources.delete(source);
    if (sources.size < limits.sourcesMax) return;
    const rest = Math.floor(limits.sourcesMax * 0.75);
    for (const source of sources.keys()) {
      if (sources.size <= rest) return;
      sources.delete(source);
    }
  }

  function add(source: string, draft: EntryDraft): void {
    const now = clock.now();
    const what = `${draft.action} ${draft.reason} ${draft.http?.method} ${draft.http?.status}`;
    const key = `${source} ${what}`;
    const known = counts.get(key);
    if (known === undefined && counts.size >= limits.countsMax) {
      const { source: _, ...anywhere } = draft;
      merge(` ${what}`, { draft: anywhere, count: 1, from: now, to: now });
      return;
    }
    if (known === undefined) merge(key, { draft, count: 1, from: now, to: now });
    else {
      known.count++;
      known.to = now;
    }
  }

  function merge(key: string, more: Count): void {
    const known = counts.get(key);
    if (counts.size === 0) onFirst();
    if (known === undefined) counts.set(key, more);
    else
      counts.set(key, { ...known, count: known.count + more.count, from: Math.min(known.from, more.from) });
  }
}

function take(bucket: Bucket, burst: number, perSecond: number, now: number): boolean {
  bucket.left = Math.min(burst, bucket.left + ((now - bucket.at) / 1000) * perSecond);
  bucket.at = now;
  if (bucket.left < 1) return false;
  bucket.left--;
  return true;
}

function isStranger({ principal, credential, decision, phase }: EntryDraft): boolean {
  return (
    principal.kind === 'anonymous' &&
    principal.id === undefined &&
    credential === undefined &&
    decision !== 'allow' &&
    phase === 'single'
  );
}

/** Who holds one IPv6 address holds its network of 64 bits. */
function sourceOf({ source }: EntryDraft): string {
  const address = source?.address ?? '';
  if (!isIPv6(address)) return address;
  const [head = ''] = address.split('::');
  const groups = head === '' ? [] : head.split(':');
  const isShort = address.includes('::');
  return Array.from({ length: 4 }, (_, at) => groups[at] ?? (isShort ? '0' : '')).join(':');
}

function entryOf({ draft, count, from, to }: Count): EntryDraft {
  const { source, request: _, latencyUs: __, ...rest } = draft;
  return {
    ...rest,
    ...(source !== undefined && { source: { ...source, port: 0 } }),
    detail: { count, from: new Date(from).toISOString(), to: new Date(to).toISOString() },
  };
}
