import { constants } from 'node:fs';
import { chmod, link, lstat, mkdir, open, rename, rm, symlink, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Parser, type ReadEntry } from 'tar';
import { explain, syncDirectory, temporaryBeside } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';
import { entryPath, folded, linkDanger, parentsOf } from './archive-paths.ts';
import { engineProblems } from './problems.ts';

/**
 * Unpacks a tar stream into a new directory, which appears when the stream has ended well and everything is in its place,
 * or not at all: until then it is a temporary directory beside it. Owners and special modes are not taken over.
 *
 * Throws `crypto.output_exists`, `crypto.archive_refused`, `crypto.archive_malformed`, `crypto.not_writable`, or what
 * `source` throws.
 */
export async function unpackDirectory(path: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  if (await exists(path)) throw cryptoProblems.output_exists(`"${path}" exists`);
  const temporary = temporaryBeside(path);
  try {
    await mkdir(temporary, { mode: 0o700 });
    const builder = createBuilder(temporary);
    await parse(source, (entry) => builder.place(entry));
    await builder.finish();
    if (await exists(path)) throw cryptoProblems.output_exists(`"${path}" exists`);
    await rename(temporary, path);
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    throw explain(error, path);
  }
}

/** Hands the entries to `place` one after the other, and waits for each. */
async function parse(
  source: AsyncIterable<Uint8Array>,
  place: (entry: ReadEntry) => Promise<void>,
): Promise<void> {
  // Strict: a damaged archive is an error, not a warning and a gap. Brotli is told by a file's name only, and there is none.
  const parser = new Parser({ strict: true, brotli: false });
  let failure: { readonly error: unknown } | undefined;
  let work = Promise.resolve();
  let current: ReadEntry | undefined;
  const failed = (error: unknown): void => void (failure ??= { error });
  const malformed = (error: Error): void =>
    failed(engineProblems.archive_malformed(error.message, { cause: error }));
  const check = (): void => {
    if (failure) throw failure.error;
  };
  parser.on('error', malformed);
  parser.on('ignoredEntry', ({ path, type }: ReadEntry) =>
    failed(engineProblems.archive_refused(`the entry "${path}" is of the kind ${type}`)),
  );
  parser.on('entry', (entry: ReadEntry) => {
    current = entry;
    work = work
      .then(() => (failure ? undefined : place(entry)))
      .catch(failed)
      .then(() => {
        entry.resume();
      });
  });
  const settled = (event: 'drain' | 'end'): Promise<void> =>
    new Promise((resolve) => {
      const settle = (): void => {
        parser.off(event, settle);
        parser.off('error', settle);
        resolve();
      };
      parser.on(event, settle);
      parser.on('error', settle);
    });
  try {
    for await (const piece of source) {
      const ready = parser.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
      check();
      if (!ready) await settled('drain');
      check();
    }
    const ended = settled('end');
    parser.end();
    check();
    await ended;
  } catch (error) {
    failed(error);
    // Whoever waits for the rest of a file must hear that there is none, close it and let go.
    current?.destroy();
  }
  await work;
  check();
}

/** What tar archives of different ages call a regular file. */
const FILES: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile']);

interface Builder {
  place(entry: ReadEntry): Promise<void>;
  /** Makes the links, and gives the directories their modes and times. */
  finish(): Promise<void>;
}

/**
 * Links are made when nothing is written any more, so no entry can be written through one, whatever the order; and before
 * they are made, none can lead outside.
 */
function createBuilder(root: string): Builder {
  const kinds = new Map<string, 'file' | 'directory' | 'link'>();
  const links = new Map<string, { readonly path: string; readonly target: string }>();
  const directories = new Map<string, { readonly mode: number; readonly changed: Date | undefined }>();
  const at = (path: string): string => join(root, path);

  async function makeParents(path: string): Promise<void> {
    for (const parent of parentsOf(path)) {
      const kind = kinds.get(folded(parent));
      if (kind === 'directory') continue;
      if (kind !== undefined) throw refused(path, `lies behind "${parent}", which is a ${kind}`);
      await mkdir(at(parent), { mode: 0o777 });
      kinds.set(folded(parent), 'directory');
    }
  }

  /** Claims a new name. */
  function claim(path: string, kind: 'file' | 'link'): void {
    if (kinds.has(folded(path))) throw refused(path, 'comes twice');
    kinds.set(folded(path), kind);
  }

  async function placeDirectory(path: string, { mode = 0o777, mtime }: ReadEntry): Promise<void> {
    const kind = kinds.get(folded(path));
    if (kind !== undefined && kind !== 'directory') throw refused(path, 'comes twice');
    if (kind === undefined) await mkdir(at(path), { mode: 0o700 });
    kinds.set(folded(path), 'directory');
    directories.set(path, { mode: (mode & 0o777 & ~process.umask()) | 0o700, changed: mtime });
  }

  async function placeFile(path: string, entry: ReadEntry): Promise<void> {
    claim(path, 'file');
    const mode = ((entry.mode ?? 0o666) & 0o777) | 0o600;
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
    const file = await open(at(path), flags, mode);
    try {
      // The end of a destroyed entry is heard only by who waits at that moment.
      const checkWhole = (): void => {
        if (entry.destroyed) throw refused(path, 'is cut short');
      };
      checkWhole();
      for await (const piece of entry as AsyncIterable<Buffer>) {
        for (let done = 0; done < piece.length; ) done += (await file.write(piece, done)).bytesWritten;
        checkWhole();
      }
      if (entry.mtime) await file.utimes(entry.mtime, entry.mtime);
    } finally {
      await file.close();
    }
  }

  async function placeHardLink(path: string, target: string): Promise<void> {
    const source = entryPath(target);
    if (source === undefined || kinds.get(folded(source)) !== 'file')
      throw refused(path, `is a hard link to "${target}", which is no file before it`);
    claim(path, 'file');
    await link(at(source), at(path));
  }

  return {
    async place(entry) {
      const path = entryPath(entry.path);
      if (path === undefined) throw refused(entry.path, 'lies outside the directory');
      if (path === '') {
        // The directory itself, as `tar .` has it.
        if (entry.type === 'Directory') return;
        throw refused(entry.path, 'would replace the directory');
      }
      await makeParents(path);
      const { type } = entry;
      if (type === 'Directory') return placeDirectory(path, entry);
      if (type === 'Link') return placeHardLink(path, entry.linkpath ?? '');
      if (FILES.has(type)) return placeFile(path, entry);
      if (type !== 'SymbolicLink') throw refused(path, `is of the kind ${type}`);
      claim(path, 'link');
      links.set(folded(path), { path, target: entry.linkpath ?? '' });
      return undefined;
    },
    async finish() {
      for (const { path, target } of links.values()) {
        const danger = linkDanger(path, target, (name) => links.has(name));
        if (danger !== undefined) throw refused(path, danger);
      }
      for (const { path, target } of links.values()) await symlink(target, at(path));
      // The innermost first: setting one changes the time of none above it, but a mode may close it.
      for (const [path, { mode, changed }] of [...directories].toReversed()) {
        await chmod(at(path), mode);
        if (changed) await utimes(at(path), changed, changed);
      }
    },
  };
}

function refused(path: string, why: string): Error {
  return engineProblems.archive_refused(`the entry "${path}" ${why}`);
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
