import { z } from 'zod';
import { encodeBase64, parseBase64 } from '../../../kernel/base64.ts';
import { parseStrictJsonText } from '../../../kernel/strict-json.ts';
import { parseRecipient } from '../../age/keys.ts';
import { cryptoProblems } from '../../problems.ts';

/** `root.key.sealed`: a root key that a remote key wraps. Its names are compared with the configuration, never followed. */
export interface SealedRootKey {
  readonly provider: string;
  readonly keyId: string;
  readonly ciphertext: Uint8Array;
  /** The recipient of the root key. */
  readonly recipient: string;
}

export const SEALED_BYTES_MAX = 16 * 1024;

const schema = z.strictObject({
  v: z.literal(1),
  provider: z.string().max(32),
  keyId: z.string().max(2048),
  ciphertext: z.string().min(1),
  recipient: z.string().max(4096),
});

/** Throws `crypto.root_key_sealed_malformed`. */
export function parseSealedRootKey(text: string, what: string): SealedRootKey {
  try {
    const { provider, keyId, ciphertext: encoded, recipient } = schema.parse(parseStrictJsonText(text, 2));
    const ciphertext = parseBase64(encoded);
    if (ciphertext === undefined) throw new TypeError('the ciphertext is not base64');
    parseRecipient(recipient);
    return { provider, keyId, ciphertext, recipient };
  } catch (error) {
    throw cryptoProblems.root_key_sealed_malformed(`${what} does not hold a sealed root key`, {
      cause: error,
    });
  }
}

export function formatSealedRootKey({ provider, keyId, ciphertext, recipient }: SealedRootKey): string {
  return `${JSON.stringify({ v: 1, provider, keyId, ciphertext: encodeBase64(ciphertext), recipient }, null, 2)}\n`;
}
