import { randomBytes } from 'node:crypto';
import { link, lstat, open, rename, unlink, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { cryptoProblems } from './problems.ts';

export interface DurablePlace {
  readonly path: string;
  /** Replaces a file that exists; otherwise one throws `crypto.output_exists`. */
  readonly replace: boolean;
}

export interface DurableWrite extends DurablePlace {
  readonly source: AsyncIterable<Uint8Array>;
}

/** Writes a file from a stream, as `fillDurably` has it. */
export async function writeDurably({ source, ...place }: DurableWrite): Promise<void> {
  await fillDurably(place, (file) => writeAll(file, source));
}

/**
 * Makes a file, mode 0600, that is either complete and on the disk or not there at all: a temporary file in the same
 * directory, filled by `fill`, then fsync, rename, fsync of the directory. Whatever fails, the temporary file is removed
 * and the old file stays. Throws what `fill` throws, `crypto.output_exists` or `crypto.not_writable`.
 */
export async function fillDurably(
  { path, replace }: DurablePlace,
  fill: (file: FileHandle) => Promise<void>,
): Promise<void> {
  const directory = dirname(path);
  const temporary = temporaryBeside(path);
  const file = await open(temporary, 'wx', 0o600).catch((error: unknown) => {
    throw explain(error, path);
  });
  try {
    try {
      await fill(file);
      await file.sync();
    } finally {
      await file.close();
    }
    if (replace) await rename(temporary, path);
    else await renameExclusively(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw explain(error, path);
  }
  await syncDirectory(directory);
}

/** A name beside `path` that nothing has: hidden, and told by its end to be temporary. */
export function temporaryBeside(path: string): string {
  // A long name may fill what the file system allows; a part of it is enough to recognise it by.
  return join(dirname(path), `.${shortened(basename(path))}.${randomBytes(6).toString('hex')}.tmp`);
}

/** At most 100 bytes, cut between characters. */
function shortened(name: string): string {
  let end = 0;
  let bytes = 0;
  for (const character of name) {
    bytes += Buffer.byteLength(character);
    if (bytes > 100) break;
    end += character.length;
  }
  return name.slice(0, end);
}

export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** The `code` of a system error. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}

/** A file that is written from where it stands on. As the system call, it may take less than it is given. */
export interface SequentialFile {
  write(piece: Uint8Array, offset: number): Promise<{ readonly bytesWritten: number }>;
}

/** One write is under way while the source computes the next piece: encryption and disk overlap. */
export async function writeAll(file: SequentialFile, source: AsyncIterable<Uint8Array>): Promise<void> {
  let pending: Promise<void> = Promise.resolve();
  try {
    for await (const piece of source) {
      await pending;
      pending = writePiece(file, piece);
      // Its failure is seen at the next await; this keeps it from counting as unhandled until then.
      pending.catch(() => {});
    }
  } finally {
    await pending;
  }
}

async function writePiece(file: SequentialFile, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) at += (await file.write(piece, at)).bytesWritten;
}

/** Fails if `path` exists, without a moment in which another process could put a file there. */
async function renameExclusively(temporary: string, path: string): Promise<void> {
  try {
    await link(temporary, path);
  } catch (error) {
    if (!WITHOUT_LINKS.has(codeOf(error) ?? '')) throw error;
    if (await exists(path)) throw cryptoProblems.output_exists(`"${path}" exists`);
    await rename(temporary, path);
    return;
  }
  await unlink(temporary);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

/** File systems that have no hard links, such as exFAT, answer with one of these. */
const WITHOUT_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
const UNWRITABLE = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EACCES',
  'EPERM',
  'EIO',
  'ENOENT',
  'ENOTDIR',
  'EFBIG',
]);

/** The problem that a system error of writing `path` stands for; any other error as it is. */
export function explain(error: unknown, path: string): unknown {
  const code = codeOf(error) ?? '';
  if (code === 'EEXIST') return cryptoProblems.output_exists(`"${path}" exists`, { cause: error });
  if (UNWRITABLE.has(code))
    return cryptoProblems.not_writable(`"${path}" cannot be written (${code})`, { cause: error });
  return error;
}
