import { argon2, randomBytes } from 'node:crypto';
import { promisify } from 'node:util';
import { z } from 'zod';
import { encodeBase64, parseBase64 } from '../../kernel/base64.ts';
import type { Secret } from '../../kernel/secret.ts';
import { parseStrictJsonText } from '../../kernel/strict-json.ts';
import { parseRecipient, recipientOf } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { identityFromBytes } from './root-key-provider.ts';

/** How a passphrase becomes the root key: `root.params`. */
export interface PassphraseParams {
  readonly v: 1;
  readonly kdf: 'argon2id';
  /** 16 to 64 bytes in base64. */
  readonly salt: string;
  readonly memoryKiB: number;
  readonly passes: number;
  readonly parallelism: number;
  /** The recipient of the root key, so that a mistyped passphrase is told as one. */
  readonly recipient: string;
}

/** RFC 9106, second choice. */
const COST = { memoryKiB: 64 * 1024, passes: 3, parallelism: 4 } as const;
const SALT_BYTES = 16;
const PASSPHRASE_CHARS_MIN = 16;
export const PARAMS_BYTES_MAX = 4096;

const schema = z
  .strictObject({
    v: z.literal(1),
    kdf: z.literal('argon2id'),
    salt: z.string(),
    // The file is not trusted: without bounds it could ask for the memory of the machine.
    memoryKiB: z
      .int()
      .min(8)
      .max(1024 * 1024),
    passes: z.int().min(1).max(16),
    parallelism: z.int().min(1).max(16),
    recipient: z.string(),
  })
  .refine(({ memoryKiB, parallelism }) => memoryKiB >= 8 * parallelism);

/** Throws `crypto.root_key_params`. */
export function parsePassphraseParams(text: string, what: string): PassphraseParams {
  try {
    const params = schema.parse(parseStrictJsonText(text, 2));
    const salt = parseBase64(params.salt);
    if (salt === undefined || salt.length < SALT_BYTES || salt.length > 64) throw new TypeError('salt');
    parseRecipient(params.recipient);
    return params;
  } catch (error) {
    throw cryptoProblems.root_key_params(`${what} does not hold acceptable parameters`, { cause: error });
  }
}

/** The root identity. Throws `crypto.wrong_root_key` if the parameters were made with another passphrase. */
export async function derivePassphraseIdentity(
  passphrase: Secret<string>,
  params: PassphraseParams,
): Promise<Secret<string>> {
  const identity = await derive(passphrase, params);
  if (recipientOf(identity.reveal()) !== params.recipient) {
    throw cryptoProblems.wrong_root_key('the passphrase is not the one that the root key was made from');
  }
  return identity;
}

/** New parameters with a new salt, and the root identity that they give. Throws `crypto.root_key_weak`. */
export async function newPassphraseIdentity(
  passphrase: Secret<string>,
): Promise<{ readonly params: PassphraseParams; readonly identity: Secret<string> }> {
  if (Array.from(canonical(passphrase)).length < PASSPHRASE_CHARS_MIN) {
    throw cryptoProblems.root_key_weak(`the passphrase has fewer than ${PASSPHRASE_CHARS_MIN} characters`);
  }
  const cost = { v: 1, kdf: 'argon2id', salt: encodeBase64(randomBytes(SALT_BYTES)), ...COST } as const;
  const identity = await derive(passphrase, cost);
  return { params: { ...cost, recipient: recipientOf(identity.reveal()) }, identity };
}

async function derive(
  passphrase: Secret<string>,
  { salt, memoryKiB, passes, parallelism }: Omit<PassphraseParams, 'recipient'>,
): Promise<Secret<string>> {
  const bytes = await promisify(argon2)('argon2id', {
    message: canonical(passphrase),
    nonce: Buffer.from(salt, 'base64'),
    memory: memoryKiB,
    passes,
    parallelism,
    tagLength: 32,
  });
  return identityFromBytes(bytes);
}

/** NFC, because keyboards differ in how they compose the same character; and without the line end of a file. */
function canonical(passphrase: Secret<string>): string {
  return passphrase
    .reveal()
    .replace(/\r?\n$/, '')
    .normalize('NFC');
}
