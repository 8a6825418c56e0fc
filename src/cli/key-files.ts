import { open } from 'node:fs/promises';
import { parseIdentity, parseKeyLines, parseRecipient } from '../crypto/age/keys.ts';
import { isProblem } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { firstLine, readSecretFile } from './credentials.ts';
import { CliFailure } from './failure.ts';
import type { CliIo } from './io.ts';

/** Files of keys given to `encrypt` and `decrypt`. `-` is stdin. */

const BYTES_MAX = 1024 * 1024;

/** The recipients of files as `-R` takes them. */
export function readRecipients(
  paths: readonly string[],
  io: Pick<CliIo, 'stdin'>,
): Promise<readonly string[]> {
  return readKeys(paths, io, (text) => {
    parseRecipient(text);
    return text;
  });
}

/** The identities of files as `-i` takes them, each with its recipient. */
export function readIdentities(
  paths: readonly string[],
  io: Pick<CliIo, 'stdin'>,
): Promise<readonly { readonly identity: Secret<string>; readonly recipient: string }[]> {
  return readKeys(paths, io, (text) => ({
    identity: new Secret(text),
    recipient: parseIdentity(text).recipient,
  }));
}

/** The keys of a Fernet key file, one a line: the first encrypts, all of them decrypt. */
export async function readFernetKeys(
  path: string,
  io: Pick<CliIo, 'stdin'>,
): Promise<readonly Secret<string>[]> {
  const keys = parseKeyLines(await readText(path, io)).map(({ text }) => new Secret(text));
  if (keys.length === 0) throw new CliFailure(`${nameOf(path)} holds no key`);
  return keys;
}

/** The passphrase in a file: its first line. */
export async function readPassphraseFile(path: string, io: Pick<CliIo, 'stdin'>): Promise<Secret<string>> {
  return path === '-' ? firstLine(await readText(path, io), 'stdin') : readSecretFile(path);
}

async function readKeys<Key>(
  paths: readonly string[],
  io: Pick<CliIo, 'stdin'>,
  parse: (text: string) => Key,
): Promise<readonly Key[]> {
  const keys: Key[] = [];
  for (const path of paths) {
    const text = await readText(path, io);
    if (/^(?:age-encryption\.org\/|-----BEGIN AGE ENCRYPTED FILE)/.test(text)) {
      throw new CliFailure(`${nameOf(path)} is itself encrypted`, {
        hint: 'decrypt it first, and name the result',
      });
    }
    const lines = parseKeyLines(text);
    if (lines.length === 0) throw new CliFailure(`${nameOf(path)} holds no key`);
    for (const { line, text: key } of lines) {
      try {
        keys.push(parse(key));
      } catch (error) {
        if (!isProblem(error)) throw error;
        throw new CliFailure(`${nameOf(path)}, line ${line}: ${error.detail}`, { cause: error });
      }
    }
  }
  return keys;
}

async function readText(path: string, { stdin }: Pick<CliIo, 'stdin'>): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of path === '-' ? (stdin as AsyncIterable<Uint8Array | string>) : readPath(path)) {
    const part = Buffer.from(piece as Uint8Array);
    bytes += part.length;
    if (bytes > BYTES_MAX) throw new CliFailure(`${nameOf(path)} is too large for a file of keys`);
    pieces.push(part);
  }
  return Buffer.concat(pieces).toString('utf8');
}

async function* readPath(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  yield* file.createReadStream() as AsyncIterable<Uint8Array>;
}

function nameOf(path: string): string {
  return path === '-' ? 'stdin' : path;
}
