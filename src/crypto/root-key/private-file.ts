import { constants, type Stats } from 'node:fs';
import { open } from 'node:fs/promises';
import { codeOf, writeDurably } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';

export interface PrivateFile {
  readonly path: string;
  readonly bytesMax: number;
  /** What it is, for messages: `root key file`. */
  readonly what: string;
  /** Which file is acceptable; without it, one that belongs to this user and is closed to all others. */
  readonly check?: (path: string, stats: Stats) => void;
}

/**
 * The text of a file that guards the keep: a regular file, not a link, private. Throws `crypto.root_key_missing` and
 * `crypto.root_key_exposed`; a file that is larger than it may be gives undefined.
 */
export async function readPrivateFile({
  path,
  bytesMax,
  what,
  check = checkPrivate,
}: PrivateFile): Promise<string | undefined> {
  // O_NONBLOCK: a named pipe put in place of the file must not hold up the start.
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await open(path, flags).catch((error: unknown) => {
    const code = codeOf(error);
    if (code === 'ENOENT')
      throw cryptoProblems.root_key_missing(`there is no ${what} "${path}"`, { cause: error });
    if (code === 'ELOOP')
      throw cryptoProblems.root_key_exposed(`"${path}" is a symbolic link; name the file itself`);
    throw cryptoProblems.root_key_exposed(`"${path}" cannot be read (${code})`, { cause: error });
  });
  try {
    // Of the open file, so that what was checked is what is read.
    const stats = await file.stat();
    if (!stats.isFile()) throw cryptoProblems.root_key_exposed(`"${path}" is not a regular file`);
    check(path, stats);
    return stats.size > bytesMax ? undefined : await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/** Writes a private file that is whole or not there. Throws `crypto.output_exists` unless `replace`. */
export function writePrivateFile(path: string, text: string, replace: boolean): Promise<void> {
  async function* source(): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }
  return writeDurably({ path, source: source(), replace });
}

function checkPrivate(path: string, { uid, mode }: Stats): void {
  if (uid !== process.geteuid?.()) {
    throw cryptoProblems.root_key_exposed(
      `"${path}" belongs to another user; chown it to the one who runs Modelkeep`,
    );
  }
  if ((mode & 0o077) !== 0) {
    throw cryptoProblems.root_key_exposed(
      `"${path}" is open to other users (mode ${octal(mode)}); run: chmod 600 "${path}"`,
    );
  }
}

export function octal(mode: number): string {
  return (mode & 0o777).toString(8).padStart(4, '0');
}
