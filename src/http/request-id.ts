import { randomFillSync } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';

/**
 * Ids as `newId('req')` makes them, but with random bytes fetched for many at once: every request gets one, and the
 * call for 16 bytes takes longer than authorising it.
 */
export function createRequestIds(clock: Pick<Clock, 'now'>): () => string {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  let used = POOL_BYTES;
  let ms = -1;
  let time = '';
  return () => {
    const now = clock.now();
    if (now !== ms) {
      ms = now;
      time = 'req_';
      for (let unit = 32 ** 9; unit >= 1; unit /= 32) time += CROCKFORD[Math.floor(now / unit) % 32];
    }
    if (used === POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    let id = time;
    for (const end = used + RANDOM_CHARACTERS; used < end; used++)
      id += CROCKFORD[(pool[used] as number) & 31];
    return id;
  };
}

const CROCKFORD = '0123456789abcdefghjkmnpqrstvwxyz';
const RANDOM_CHARACTERS = 16;
const POOL_BYTES = RANDOM_CHARACTERS * 256;
