import { isProblem, type Problem } from '../../kernel/problem.ts';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { decryptStream } from './age.ts';
import { isPrivateKeyPem, parseIdentity, parseKeyLines, parseRecipient } from './keys.ts';
import type { KeyIdentity } from './stanza.ts';

/** Files of keys, as age reads them. */

/** As sshd has it for a line of keys; post-quantum recipients take a quarter of it. */
const LINE_CHARACTERS_MAX = 8192;
/** An age file, armored or not. */
const SEALED = /^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE)/;

/**
 * The identities of a file: lines of age identities, one SSH private key, or either of them sealed with a passphrase as an
 * age file. A sealed file asks for the passphrase at once; a locked SSH key when a file is addressed to it. Throws
 * `crypto.invalid_key` or `crypto.unsupported_key`, which name the line and do not quote it, and what opening throws.
 */
export async function parseIdentityFile(
  content: Uint8Array | string,
  { passphrase }: { readonly passphrase?: () => Promise<Secret<string>> } = {},
): Promise<readonly KeyIdentity[]> {
  const bytes = Buffer.from(content as Uint8Array);
  if (!SEALED.test(bytes.toString('latin1', 0, 64))) return parseIdentities(textOf(bytes), passphrase);
  if (!passphrase)
    throw cryptoProblems.no_matching_key('the file is itself encrypted, and no passphrase is given');
  const opened = await openIdentityFile(bytes, passphrase);
  try {
    return parseIdentities(textOf(opened), passphrase).map((identity) => ({ ...identity, locked: true }));
  } finally {
    opened.fill(0);
  }
}

/** What a recipients file holds. */
export interface RecipientFile {
  /** Each can be parsed. */
  readonly recipients: readonly string[];
  /** SSH keys of types that cannot encrypt, as they stand in a copied `authorized_keys`. */
  readonly ignored: readonly { readonly line: number; readonly type: string }[];
}

/**
 * The recipients of a file, one a line. Throws `crypto.invalid_key` or `crypto.unsupported_key`, which name the line and do
 * not quote it: what was named by mistake may be secret.
 */
export function parseRecipientFile(content: Uint8Array | string): RecipientFile {
  const text = textOf(Buffer.from(content as Uint8Array));
  if (SEALED.test(text)) throw cryptoProblems.invalid_key('the recipients file is itself encrypted');
  const recipients: string[] = [];
  const ignored: { line: number; type: string }[] = [];
  for (const { line, text: key } of parseKeyLines(text)) {
    try {
      if (key.length > LINE_CHARACTERS_MAX) throw cryptoProblems.invalid_key('the line is too long');
      parseRecipient(key);
      recipients.push(key);
    } catch (error) {
      const type = /^(?:ssh|ecdsa|sk)-[a-z0-9@.-]+(?= )/.exec(key)?.[0];
      if (!isProblem(error, cryptoProblems.unsupported_key) || type === undefined) throw atLine(line, error);
      ignored.push({ line, type });
    }
  }
  if (recipients.length === 0) throw cryptoProblems.invalid_key('the file holds no key');
  return { recipients, ignored };
}

function parseIdentities(text: string, passphrase?: () => Promise<Secret<string>>): readonly KeyIdentity[] {
  if (isPrivateKeyPem(text)) return [parseIdentity(text, passphrase)];
  const identities = parseKeyLines(text).map(({ line, text: key }) => {
    try {
      return parseIdentity(key);
    } catch (error) {
      throw atLine(line, error);
    }
  });
  if (identities.length === 0) throw cryptoProblems.invalid_key('the file holds no key');
  return identities;
}

async function openIdentityFile(
  bytes: Uint8Array,
  passphrase: () => Promise<Secret<string>>,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let asked = false;
  const ask = (): Promise<Secret<string>> => {
    asked = true;
    return passphrase();
  };
  try {
    for await (const piece of decryptStream(once(bytes), { passphrase: ask })) pieces.push(piece);
  } catch (error) {
    if (asked || !isProblem(error, cryptoProblems.no_matching_key)) throw error;
    throw cryptoProblems.no_matching_key('the file is itself encrypted, to keys and not with a passphrase');
  }
  return Buffer.concat(pieces);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function atLine(line: number, error: unknown): unknown {
  if (!isProblem(error)) return error;
  const told: Problem = error;
  const kind =
    told.code === cryptoProblems.unsupported_key.code
      ? cryptoProblems.unsupported_key
      : cryptoProblems.invalid_key;
  return kind(`line ${line}: ${told.detail}`, { cause: told });
}

/** Windows editors put a byte order mark in front, which is no part of the first key. */
function textOf(bytes: Buffer): string {
  return bytes.toString('utf8').replace(/^\ufeff/, '');
}
