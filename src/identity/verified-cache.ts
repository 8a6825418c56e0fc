import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { createRecent } from './recent.ts';

/**
 * Passwords that were verified a short while ago, so that HTTP Basic costs one HMAC and not one argon2id per request.
 * Only successes are kept, only as HMACs under a key of this process. A proof covers the current credential version, so
 * a changed password or a disabled user misses at once; and the source, so that a guess from elsewhere never meets a
 * verified password without passing the throttle.
 */
export interface VerifiedCache {
  proof(of: { id: string; credentialVersion: number; source: string; password: string }): string;
  add(proof: string): void;
  has(proof: string): boolean;
}

export function createVerifiedCache({
  clock,
  ttlMs = 5 * 60_000,
  entriesMax = 10_000,
}: {
  clock: Pick<Clock, 'monotonic'>;
  ttlMs?: number;
  entriesMax?: number;
}): VerifiedCache {
  const key = createSecretKey(randomBytes(32));
  const expiries = createRecent<number>(entriesMax);
  return {
    // NUL cannot occur in the parts before the password, so no two different tuples have one text.
    proof: ({ id, credentialVersion, source, password }) =>
      createHmac('sha256', key)
        .update(`${id}\0${credentialVersion}\0${source}\0${password}`)
        .digest('base64'),
    add: (proof) => expiries.set(proof, clock.monotonic() + ttlMs),
    has(proof) {
      const expiry = expiries.get(proof);
      if (expiry === undefined) return false;
      if (clock.monotonic() < expiry) return true;
      expiries.delete(proof);
      return false;
    },
  };
}
