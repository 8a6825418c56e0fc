import { createHash, hash, type KeyObject } from 'node:crypto';

/**
 * Names for secrets and inputs that tell equal from different and nothing else, to whoever lacks the key: what entries hold
 * for the rules to count. Sixteen hexadecimal digits: 64 bits of SHA-512/256 over the key and the text. That hash cannot be
 * extended, so the key in front makes it a MAC; an HMAC takes four times as long, and each prediction has a tag.
 */
export interface Tags {
  /** `detail.secretTag` of a refusal: the secret as presented. */
  secret(text: string): string;
  /** `detail.claimTag` of a refusal that names nobody there is: the name as presented. */
  claim(name: string): string;
  /** `detail.inputTag` of a prediction: the bytes as received. */
  input(bytes: Uint8Array): string;
}

/** `key`: an HMAC key of the ring, of its own. Without it a tag of a short input could be guessed. */
export function createTags(key: KeyObject): Tags {
  const front = (kind: string): Buffer =>
    Buffer.concat([key.export(), Buffer.from(`modelkeep/${kind}\0`, 'latin1')]);
  const fronts = { secret: front('secret'), claim: front('claim'), input: front('input') };
  const tag = (kind: keyof Tags, value: string | Uint8Array): string =>
    createHash(HASH).update(fronts[kind]).update(value).digest('hex').slice(0, DIGITS);
  const scratch = Buffer.concat([fronts.input, Buffer.alloc(SMALL_BYTES)]);
  const start = fronts.input.length;
  return {
    secret: (text) => tag('secret', text),
    claim: (name) => tag('claim', name),
    input(bytes) {
      if (bytes.length > SMALL_BYTES) return tag('input', bytes);
      scratch.set(bytes, start);
      return hash(HASH, scratch.subarray(0, start + bytes.length)).slice(0, DIGITS);
    },
  };
}

const HASH = 'sha512-256';
const DIGITS = 16;
/** Inputs up to this are put behind the key, so that one call hashes both. */
const SMALL_BYTES = 8192;
