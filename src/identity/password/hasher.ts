import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import { identityProblems } from '../problems.ts';
import type { Argon2, Derivation } from './argon2.ts';
import { type Argon2Cost, formatPhc, type Phc, parsePhc } from './phc.ts';

/** OWASP's minimum for argon2id, measured at about 25 ms of one core. */
export const PASSWORD_COST: Argon2Cost = { memoryKib: 19_456, passes: 2, parallelism: 1 };

/** `match_stale`: right, but hashed at another cost or under another pepper, so it should be hashed anew. */
export type Verdict = 'match' | 'match_stale' | 'mismatch' | 'unreadable';

/** Every method throws `identity.busy` (503, retry-after) when the queue is full or stood still too long. */
export interface PasswordHasher {
  /** The PHC string of `password`, bound to `userId`. */
  hash(password: string, userId: string): Promise<string>;
  /**
   * Compares with a stored PHC string. Without one (unknown user, no password) the same work is done on a dummy and
   * the verdict is `mismatch`, so that both cost the same.
   */
  verify(password: string, userId: string, stored: string | null): Promise<Verdict>;
  close(): Promise<void>;
}

interface Queued {
  readonly job: Derivation;
  readonly deadline: number;
  readonly resolve: (tag: Uint8Array) => void;
  readonly reject: (error: unknown) => void;
}

const SALT_BYTES = 16;
const TAG_BYTES = 32;

export function createPasswordHasher({
  argon2,
  pepperVersion,
  clock,
  cost = PASSWORD_COST,
  waitingMax = 64,
  waitMsMax = 2_000,
}: {
  argon2: Argon2;
  /** The active version of the pepper: what new hashes are made with. */
  pepperVersion: () => number;
  clock: Pick<Clock, 'monotonic'>;
  cost?: Argon2Cost;
  waitingMax?: number;
  waitMsMax?: number;
}): PasswordHasher {
  const queue: Queued[] = [];
  let running = false;
  const dummy = { ...cost, salt: randomBytes(SALT_BYTES), tag: randomBytes(TAG_BYTES) };

  /** One at a time: jobs wait here, where they can still be dropped, and not in the thread's mailbox. */
  function derive(job: Derivation): Promise<Uint8Array> {
    if (queue.length >= waitingMax) return Promise.reject(busy('the queue is full'));
    return new Promise((resolve, reject) => {
      queue.push({ job, deadline: clock.monotonic() + waitMsMax, resolve, reject });
      next();
    });
  }

  function next(): void {
    if (running) return;
    for (let waiting = queue.shift(); waiting !== undefined; waiting = queue.shift()) {
      if (clock.monotonic() <= waiting.deadline) {
        void run(waiting);
        return;
      }
      waiting.reject(busy('the deadline has passed'));
    }
  }

  async function run({ job, resolve, reject }: Queued): Promise<void> {
    running = true;
    try {
      resolve(await argon2.derive(job));
    } catch (error) {
      reject(busy('hashing failed', error));
    } finally {
      running = false;
      next();
    }
  }

  return {
    async hash(password, userId) {
      const made = { ...cost, pepperVersion: pepperVersion(), salt: randomBytes(SALT_BYTES) };
      const tag = await derive({ ...made, password, tagBytes: TAG_BYTES, associatedData: userId });
      return formatPhc({ ...made, tag });
    },
    async verify(password, userId, stored) {
      const parsed = stored === null ? undefined : parsePhc(stored);
      const phc: Phc = parsed ?? { ...dummy, pepperVersion: pepperVersion() };
      const tag = await derive({ ...phc, password, tagBytes: phc.tag.length, associatedData: userId });
      const equal = timingSafeEqual(tag, phc.tag);
      if (parsed === undefined) return stored === null ? 'mismatch' : 'unreadable';
      if (!equal) return 'mismatch';
      return isCurrent(parsed) ? 'match' : 'match_stale';
    },
    async close() {
      for (const waiting of queue.splice(0)) waiting.reject(busy('the keep is closing'));
      await argon2.close();
    },
  };

  function isCurrent(phc: Phc): boolean {
    return (
      phc.memoryKib === cost.memoryKib &&
      phc.passes === cost.passes &&
      phc.parallelism === cost.parallelism &&
      phc.pepperVersion === pepperVersion() &&
      phc.salt.length === SALT_BYTES &&
      phc.tag.length === TAG_BYTES
    );
  }
}

function busy(why: string, cause?: unknown): Error {
  return identityProblems.busy('too many passwords are being checked; try again shortly', {
    cause: new Error(why, { cause }),
    headers: { 'retry-after': '2' },
  });
}
