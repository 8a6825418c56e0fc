import { createHash, hash, randomFillSync } from 'node:crypto';

/**
 * Binds bytes without telling them: SHA-256 of a nonce and the bytes. A bare digest of few possible inputs is guessed by
 * trying them; without the nonce there is nothing to try. The log holds `hash`, the caller alone gets `nonce`.
 */
export interface Commitment {
  /** SHA-256(nonce || bytes), hex. */
  readonly hash: string;
  /** 16 bytes, base64. */
  readonly nonce: string;
}

/** A text is committed to as its UTF-8. */
export type Commit = (content: Uint8Array | string) => Commitment;

export const NONCE_BYTES = 16;
const POOL_BYTES = NONCE_BYTES * 256;
/** Content up to this is put behind its nonce, so that one call hashes both. */
const SMALL_BYTES = 8192;

/** Random bytes are fetched for many nonces at once, and a small content costs one hash and no allocation of its size. */
export function createCommit(): Commit {
  const pool = Buffer.allocUnsafeSlow(POOL_BYTES);
  const scratch = Buffer.allocUnsafeSlow(NONCE_BYTES + SMALL_BYTES);
  let used = POOL_BYTES;
  return (content) => {
    if (used === POOL_BYTES) {
      randomFillSync(pool);
      used = 0;
    }
    const begin = used;
    used += NONCE_BYTES;
    const nonce = pool.toString('base64', begin, used);
    // A UTF-16 unit is at most three bytes of UTF-8.
    if ((typeof content === 'string' ? content.length * 3 : content.length) > SMALL_BYTES) {
      return { hash: hashLarge(pool.subarray(begin, used), content), nonce };
    }
    for (let at = 0; at < NONCE_BYTES; at++) scratch[at] = pool[begin + at] as number;
    let length = content.length;
    if (typeof content === 'string') length = scratch.write(content, NONCE_BYTES);
    else scratch.set(content, NONCE_BYTES);
    return { hash: hash('sha256', scratch.subarray(0, NONCE_BYTES + length)), nonce };
  };
}

function hashLarge(nonce: Uint8Array, content: Uint8Array | string): string {
  return createHash('sha256').update(nonce).update(content).digest('hex');
}

/** Claims that `content` is what `committed`, the hex of an entry, was made from. */
export function opensTo(committed: string, nonce: string, content: Uint8Array | string): boolean {
  const bytes = Buffer.from(nonce, 'base64');
  return bytes.length === NONCE_BYTES && hashLarge(bytes, content) === committed;
}
