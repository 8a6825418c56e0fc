import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A place that can run out of space. */
export interface SmallDisk extends AsyncDisposable {
  readonly directory: string;
  /** From now on the process can store about this many bytes more there. */
  leave(bytes: number, pid: number): Promise<void>;
  /** Gives the space back. */
  free(): Promise<void>;
  /** Lets nothing be written any more by a command that begins with these words. */
  freeze(): readonly string[];
}

const BYTES = 8 * 2 ** 20;

/** A file system of its own in memory where the test may mount one, else a limit on the files of the process. */
export async function openSmallDisk(): Promise<SmallDisk> {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-small-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${BYTES},mode=700`, 'tmpfs', directory]);
  return mounted.status === 0 ? memoryDisk(directory) : limitedFiles(directory);
}

function memoryDisk(directory: string): SmallDisk {
  const filler = join(directory, 'filler');
  const free = (): Promise<void> => rm(filler, { force: true });
  return {
    directory,
    free,
    async leave(bytes) {
      await free();
      const { bavail, bsize } = await statfs(directory);
      // The process goes on writing meanwhile, and may take the last of it first.
      await writeFile(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytes))).catch(unlessFull);
    },
    freeze() {
      execFileSync('mount', ['-o', 'remount,ro', directory]);
      return [];
    },
    async [Symbol.asyncDispose]() {
      execFileSync('umount', ['--lazy', directory]);
      await rm(directory, { recursive: true });
    },
  };
}

function unlessFull(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOSPC') throw error;
}

/** The largest file may have as many bytes as the disk would have left: a write beyond fails like one to a full disk. */
function limitedFiles(directory: string): SmallDisk {
  return {
    directory,
    // A process that has ended takes its limit along.
    free: () => Promise.resolve(),
    leave(bytes, pid) {
      execFileSync('prlimit', [`--pid=${pid}`, `--fsize=${bytes}:unlimited`]);
      return Promise.resolve();
    },
    freeze: () => ['prlimit', '--fsize=0'],
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}
