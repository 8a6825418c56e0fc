import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { createRecent } from './recent.ts';
import { sourceKey } from './source-key.ts';

/**
 * Slows guessing without locking anyone out. It is asked before a password is hashed.
 *
 * - Per source (an IPv4 address, an IPv6 /64): a bucket of 20 failures, refilled at 10 a minute.
 * - Per account, whether the name exists or not: after 5 failures a delay of 1 s that doubles to 15 min. A source that
 *   has once proved the account's password has a count of its own there, so that strangers cannot lock the owner out.
 * - Per account, at most 16 guesses in flight, and one when it is delayed: parallel requests buy nothing.
 *
 * Valid API keys are never throttled: 190 random bits are not guessed, and a client must not suffer for its neighbours.
 * Kept in memory, for this process alone; the least recently used entries are dropped beyond the bound.
 */
export interface Throttle {
  /** Milliseconds until `address` may try again; 0 for now. */
  sourceWait(address: string): number;
  /** A failure that no account is known for: a bad API key, a malformed header. */
  sourceFailed(address: string): void;
  /** Asks to try a password of `account` (a name as presented) from `address`. */
  begin(address: string, account: string): Attempt | Refusal;
}

/** A reserved try: the source is already charged. Exactly one of the three must be called. */
export interface Attempt {
  readonly kind: 'attempt';
  succeed(): void;
  fail(): void;
  /** Nothing was learned (the hash queue was full): as if it had not happened. */
  cancel(): void;
}

export interface Refusal {
  readonly kind: 'source' | 'account';
  readonly waitMs: number;
}

const SOURCE_BURST = 20;
const SOURCE_REFILL_MS = 6_000;
const FREE_FAILURES = 5;
const DELAY_MS_MAX = 15 * 60_000;
const FORGET_MS = 24 * 3_600_000;
const IN_FLIGHT_MAX = 16;

interface Bucket {
  tokens: number;
  at: number;
}

interface Count {
  failures: number;
  inFlight: number;
  nextAt: number;
  lastAt: number;
}

export function createThrottle({
  clock,
  entriesMax = 20_000,
}: {
  clock: Pick<Clock, 'monotonic'>;
  /** Bound of each of the three tables. */
  entriesMax?: number;
}): Throttle {
  // Names are kept as HMACs: a mistyped name is often a password.
  const nameKey = createSecretKey(randomBytes(32));
  const buckets = createRecent<Bucket>(entriesMax);
  const counts = createRecent<Count>(entriesMax);
  const proven = createRecent<true>(entriesMax);

  function bucketOf(source: string): Bucket {
    const now = clock.monotonic();
    const bucket = buckets.get(source) ?? { tokens: SOURCE_BURST, at: now };
    const tokens = Math.min(SOURCE_BURST, bucket.tokens + (now - bucket.at) / SOURCE_REFILL_MS);
    Object.assign(bucket, { tokens, at: now });
    return bucket;
  }

  function charge(source: string): Bucket {
    const bucket = bucketOf(source);
    bucket.tokens = Math.max(0, bucket.tokens - 1);
    buckets.set(source, bucket);
    return bucket;
  }

  function waitOf(source: string): number {
    if (buckets.get(source) === undefined) return 0;
    const { tokens } = bucketOf(source);
    return tokens >= 1 ? 0 : (1 - tokens) * SOURCE_REFILL_MS;
  }

  function countOf(key: string): Count {
    const now = clock.monotonic();
    const known = counts.get(key);
    const count =
      known === undefined || (known.inFlight === 0 && now - known.lastAt > FORGET_MS)
        ? { failures: 0, inFlight: 0, nextAt: 0, lastAt: now }
        : known;
    counts.set(key, count);
    return count;
  }

  return {
    sourceWait: (address) => waitOf(sourceKey(address)),
    sourceFailed(address) {
      charge(sourceKey(address));
    },
    begin(address, account) {
      const source = sourceKey(address);
      const wait = waitOf(source);
      if (wait > 0) return { kind: 'source', waitMs: wait };

      const name = createHmac('sha256', nameKey).update(account).digest('base64');
      const pair = `${name} ${source}`;
      const count = countOf(proven.get(pair) ? pair : name);
      const delayed = count.failures >= FREE_FAILURES;
      const waitMs = delayed ? count.nextAt - clock.monotonic() : 0;
      if (waitMs > 0) return { kind: 'account', waitMs };
      if (count.inFlight >= (delayed ? 1 : IN_FLIGHT_MAX)) return { kind: 'account', waitMs: 1_000 };

      const bucket = charge(source);
      count.inFlight++;
      const release = (): void => {
        count.inFlight--;
      };
      const refund = (): void => {
        bucket.tokens = Math.min(SOURCE_BURST, bucket.tokens + 1);
      };
      return {
        kind: 'attempt',
        succeed() {
          release();
          refund();
          count.failures = 0;
          proven.set(pair, true);
        },
        fail() {
          release();
          count.failures++;
          count.lastAt = clock.monotonic();
          const doublings = count.failures - FREE_FAILURES;
          if (doublings >= 0) count.nextAt = count.lastAt + Math.min(DELAY_MS_MAX, 1_000 * 2 ** doublings);
        },
        cancel() {
          release();
          refund();
        },
      };
    },
  };
}
