import { lstat, open } from 'node:fs/promises';
import { parseIdentityFile, parseRecipientFile } from '../crypto/age/key-file.ts';
import { parseKeyLines } from '../crypto/age/keys.ts';
import type { KeyIdentity } from '../crypto/age/stanza.ts';
import { isProblem } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { firstLine, readSecretFile } from './credentials.ts';
import { CliFailure } from './failure.ts';
import type { CliIo } from './io.ts';

/** Files of keys given to `encrypt` and `decrypt`. `-` is stdin. */

const BYTES_MAX = 1024 * 1024;

/** The recipients of files as `-R` takes them. SSH keys that cannot encrypt are passed over with a warning. */
export async function readRecipients(
  paths: readonly string[],
  io: Pick<CliIo, 'stdin' | 'stderr'>,
): Promise<readonly string[]> {
  const recipients: string[] = [];
  for (const path of paths) {
    const file = await readKeys(path, io, parseRecipientFile);
    recipients.push(...file.recipients);
    for (const { line, type } of file.ignored) {
      io.stderr.write(
        `modelkeep: warning: ${nameOf(path)}, line ${line}: an SSH key of type ${type} cannot encrypt; passed over\n`,
      );
    }
  }
  return recipients;
}

/**
 * The identities of files as `-i` takes them, each with its recipient: age identities, SSH private keys, and age files of
 * either that are sealed with a passphrase, which is asked for on the terminal.
 */
export async function readIdentities(
  paths: readonly string[],
  io: Pick<CliIo, 'stdin' | 'prompt'>,
): Promise<readonly { readonly identity: Secret<KeyIdentity>; readonly recipient: string }[]> {
  const identities: { identity: Secret<KeyIdentity>; recipient: string }[] = [];
  for (const path of paths) {
    const ask = (): Promise<Secret<string>> => askPassphrase(path, io);
    const found = await readKeys(path, io, async (bytes) => {
      const keys = await parseIdentityFile(bytes, { passphrase: ask });
      // What a passphrase protects may lie open.
      if (!keys.some(({ locked }) => locked === true)) await refuseExposed(path);
      return keys;
    });
    identities.push(...found.map((key) => ({ identity: new Secret(key), recipient: key.recipient })));
  }
  return identities;
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

async function readKeys<Keys>(
  path: string,
  io: Pick<CliIo, 'stdin'>,
  parse: (bytes: Buffer) => Keys | Promise<Keys>,
): Promise<Keys> {
  const bytes = await readBytes(path, io);
  try {
    return await parse(bytes);
  } catch (error) {
    if (!isProblem(error)) throw error;
    const at = error.detail.startsWith('line ') ? ', ' : ': ';
    throw new CliFailure(`${nameOf(path)}${at}${error.detail}`, { cause: error });
  } finally {
    bytes.fill(0);
  }
}

function askPassphrase(path: string, { prompt }: Pick<CliIo, 'prompt'>): Promise<Secret<string>> {
  if (prompt) return prompt.password(`passphrase of ${nameOf(path)}`);
  throw new CliFailure(
    `${nameOf(path)} is itself encrypted, and there is no terminal to ask its passphrase on`,
    {
      hint: 'decrypt it first, and name the result',
    },
  );
}

/** The same rule as for other files of secrets. */
async function refuseExposed(path: string): Promise<void> {
  if (path === '-' || process.platform === 'win32') return;
  const facts = await lstat(path);
  if (facts.isFile() && (facts.mode & 0o077) !== 0)
    throw new CliFailure(`${path} may be read by other users`, { hint: `chmod 600 ${path}` });
}

async function readText(path: string, io: Pick<CliIo, 'stdin'>): Promise<string> {
  return (await readBytes(path, io)).toString('utf8');
}

async function readBytes(path: string, { stdin }: Pick<CliIo, 'stdin'>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of path === '-' ? (stdin as AsyncIterable<Uint8Array | string>) : readPath(path)) {
    const part = Buffer.from(piece as Uint8Array);
    bytes += part.length;
    if (bytes > BYTES_MAX) throw new CliFailure(`${nameOf(path)} is too large for a file of keys`);
    pieces.push(part);
  }
  return Buffer.concat(pieces);
}

async function* readPath(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, 'r');
  yield* file.createReadStream() as AsyncIterable<Uint8Array>;
}

function nameOf(path: string): string {
  return path === '-' ? 'stdin' : path;
}
