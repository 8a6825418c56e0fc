import { lstat, readdir, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { WriteEntry } from 'tar';
import { isProblem } from '../../kernel/problem.ts';
import { codeOf } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';
import { folded, linkDanger } from './archive-paths.ts';
import { engineProblems } from './problems.ts';

export interface PackedDirectory {
  /** The tar archive. It can be read once. */
  readonly source: AsyncIterable<Uint8Array>;
  /** About as many bytes as it will have: files may change, and long names take more. */
  readonly bytes: number;
}

const BLOCK = 512;

/**
 * A directory as a tar stream that every tar reads: names in order and relative to it, modes and times of change, no
 * owners; the same content gives the same bytes. It is listed at once, so an output inside it is not packed into itself.
 *
 * Throws `crypto.directory_refused` for what an archive could not give back, `crypto.input_unreadable`; the stream throws
 * the latter if something vanishes or shrinks meanwhile.
 */
export async function packDirectory(path: string): Promise<PackedDirectory> {
  const found = await list(path).catch((error: unknown) => {
    throw readable(path, error);
  });
  const isLink = (name: string): boolean => found.links.has(name);
  for (const { name, target } of found.links.values()) {
    const danger = linkDanger(name, target, isLink);
    if (danger !== undefined)
      throw engineProblems.directory_refused(`the link "${name}" in "${path}" ${danger}`);
  }
  return { source: pack(path, found.names), bytes: found.bytes };
}

interface Listing {
  readonly names: string[];
  readonly links: Map<string, { readonly name: string; readonly target: string }>;
  bytes: number;
}

async function list(root: string): Promise<Listing> {
  const found: Listing = { names: [], links: new Map(), bytes: 2 * BLOCK };
  const visit = async (directory: string): Promise<void> => {
    const entries = await readdir(join(root, directory));
    for (const entry of entries.toSorted()) {
      const name = directory === '' ? entry : `${directory}/${entry}`;
      const stats = await lstat(join(root, name));
      found.names.push(name);
      found.bytes += BLOCK;
      if (stats.isDirectory()) await visit(name);
      else if (stats.isFile()) found.bytes += Math.ceil(stats.size / BLOCK) * BLOCK;
      else if (stats.isSymbolicLink())
        found.links.set(folded(name), { name, target: await readlink(join(root, name)) });
      else
        throw engineProblems.directory_refused(
          `"${name}" in "${root}" is neither a file, a directory nor a link`,
        );
    }
  };
  await visit('');
  return found;
}

async function* pack(cwd: string, names: readonly string[]): AsyncGenerator<Uint8Array> {
  // Strict: what cannot be read is an error, not a warning and a gap. The second name of a file becomes a hard link.
  const options = { cwd, portable: true, strict: true, linkCache: new Map<`${number}:${number}`, string>() };
  try {
    // An archive of nothing at all is none to some readers.
    for (const name of names.length > 0 ? names : ['.'])
      yield* new WriteEntry(name, options) as AsyncIterable<Buffer>;
  } catch (error) {
    throw readable(cwd, error);
  }
  yield Buffer.alloc(2 * BLOCK);
}

function readable(path: string, error: unknown): unknown {
  if (isProblem(error)) return error;
  const reason = codeOf(error) ?? (error instanceof Error ? error.message : String(error));
  return cryptoProblems.input_unreadable(`"${path}" cannot be read whole (${reason})`, { cause: error });
}
