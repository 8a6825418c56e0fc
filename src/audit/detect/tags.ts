import { createHmac, type KeyObject } from 'node:crypto';

/**
 * Names for secrets and inputs that tell equal from different and nothing else, to whoever lacks the key: what entries hold
 * for the rules to count. 64 bits of HMAC-SHA-256, sixteen hexadecimal digits.
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
  const tag = (kind: string, value: string | Uint8Array): string =>
    createHmac('sha256', key).update(`modelkeep/${kind}\0`).update(value).digest('hex').slice(0, 16);
  return {
    secret: (text) => tag('secret', text),
    claim: (name) => tag('claim', name),
    input: (bytes) => tag('input', bytes),
  };
}
