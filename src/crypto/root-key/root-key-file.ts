import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity, parseIdentity, parseKeyLines } from '../age/keys.ts';
import { codeOf, writeDurably } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';

const FILE_BYTES_MAX = 4096;

/** Makes a new root key and its file, mode 0600. Throws `crypto.root_key_exists`. */
export async function createRootKeyFile(path: string): Promise<Secret<string>> {
  const { identity } = generateIdentity();
  async function* text(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(`${identity}\n`);
  }
  try {
    await writeDurably({ path, source: text(), replace: false });
  } catch (error) {
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw cryptoProblems.root_key_exists(`"${path}" exists`, { cause: error });
  }
  return new Secret(identity);
}

/**
 * The root key, an age identity. The file must be a regular file, not a link, owned by this user and closed to all others
 * (`crypto.root_key_exposed`), and hold one identity (`crypto.root_key_malformed`).
 */
export async function readRootKeyFile(path: string): Promise<Secret<string>> {
  // O_NONBLOCK: a named pipe put in place of the file must not hold up the start.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    const code = codeOf(error);
    if (code === 'ENOENT')
      throw cryptoProblems.root_key_missing(`there is no root key file "${path}"`, { cause: error });
    if (code === 'ELOOP')
      throw cryptoProblems.root_key_exposed(`"${path}" is a symbolic link; name the file itself`);
    throw cryptoProblems.root_key_exposed(`"${path}" cannot be read (${code})`, { cause: error });
  });
  try {
    // Of the open file, so that what was checked is what is read.
    const stats = await file.stat();
    checkPrivate(path, stats);
    if (stats.size > FILE_BYTES_MAX)
      throw cryptoProblems.root_key_malformed(`"${path}" is too large for a root key file`);
    return parse(path, await file.readFile('utf8'));
  } finally {
    await file.close();
  }
}

function checkPrivate(path: string, stats: Stats): void {
  if (!stats.isFile()) throw cryptoProblems.root_key_exposed(`"${path}" is not a regular file`);
  if (stats.uid !== process.geteuid?.()) {
    throw cryptoProblems.root_key_exposed(
      `"${path}" belongs to another user; chown it to the one who runs Modelkeep`,
    );
  }
  if ((stats.mode & 0o077) !== 0) {
    const mode = (stats.mode & 0o777).toString(8).padStart(4, '0');
    throw cryptoProblems.root_key_exposed(
      `"${path}" is open to other users (mode ${mode}); run: chmod 600 "${path}"`,
    );
  }
}

function parse(path: string, text: string): Secret<string> {
  const [line, ...more] = parseKeyLines(text);
  const identity = line?.text;
  if (identity === undefined || more.length > 0) {
    throw cryptoProblems.root_key_malformed(`"${path}" does not hold exactly one identity`);
  }
  try {
    parseIdentity(identity);
  } catch (error) {
    throw cryptoProblems.root_key_malformed(`"${path}" does not hold an age identity`, { cause: error });
  }
  return new Secret(identity);
}
