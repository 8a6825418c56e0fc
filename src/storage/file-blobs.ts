import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobStore, StoredBlob } from './blobs.ts';
import { storageProblems } from './problems.ts';

const NAME = /^[0-9a-f]{64}$/;
const UNFINISHED = '.incoming-';

/** Blobs as files `ab/abcd…` below `root`: written to a temporary file, fsynced, renamed, directory fsynced. */
export function createFileBlobStore(root: string): BlobStore {
  const pathOf = (name: string): string => {
    if (!NAME.test(name)) throw storageProblems.blob_missing(`"${name}" is not a blob name`);
    return join(root, name.slice(0, 2), name);
  };
  return {
    async put(source, onName): Promise<StoredBlob> {
      await mkdir(root, { recursive: true, mode: 0o700 });
      const temporary = join(root, `${UNFINISHED}${randomBytes(8).toString('hex')}`);
      const hash = createHash('sha256');
      let bytes = 0;
      try {
        const file = await open(temporary, 'wx', 0o600);
        try {
          for await (const chunk of source) {
            hash.update(chunk);
            bytes += chunk.length;
            for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
          }
          await file.sync();
        } finally {
          await file.close();
        }
        const name = hash.digest('hex');
        onName?.(name);
        const directory = join(root, name.slice(0, 2));
        await mkdir(directory, { recursive: true, mode: 0o700 });
        await rename(temporary, pathOf(name));
        await syncDirectory(directory);
        await syncDirectory(root);
        return { name, bytes };
      } catch (error) {
        await unlink(temporary).catch(() => {});
        throw explain(error);
      }
    },
    async *read(name) {
      const hash = createHash('sha256');
      try {
        for await (const chunk of createReadStream(pathOf(name), { highWaterMark: 1 << 18 })) {
          hash.update(chunk as Buffer);
          yield chunk as Buffer;
        }
      } catch (error) {
        if (codeOf(error) === 'ENOENT')
          throw storageProblems.blob_missing(`blob ${name} is not in the store`);
        throw error;
      }
      if (hash.digest('hex') !== name) {
        throw storageProblems.blob_corrupt(`blob ${name} does not have the SHA-256 that names it`);
      }
    },
    has: (name) =>
      access(pathOf(name)).then(
        () => true,
        () => false,
      ),
    async remove(name) {
      await unlink(pathOf(name)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw explain(error);
      });
    },
    async *list() {
      for (const directory of await entriesOf(root)) {
        if (!/^[0-9a-f]{2}$/.test(directory)) continue;
        for (const name of await entriesOf(join(root, directory))) {
          const facts = NAME.test(name) ? await stat(pathOf(name)).catch(absent) : undefined;
          if (facts !== undefined) yield { name, bytes: facts.size, modifiedAt: Math.floor(facts.mtimeMs) };
        }
      }
    },
    async removeUnfinished() {
      for (const name of await entriesOf(root)) {
        if (name.startsWith(UNFINISHED)) await unlink(join(root, name));
      }
    },
  };
}

async function entriesOf(directory: string): Promise<string[]> {
  return (await readdir(directory).catch(absent)) ?? [];
}

function absent(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

const UNWRITABLE = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EROFS', 'EACCES', 'EPERM', 'EIO']);

function explain(error: unknown): unknown {
  return UNWRITABLE.has(codeOf(error) ?? '')
    ? storageProblems.not_writable('the artifact could not be stored', { cause: error })
    : error;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
