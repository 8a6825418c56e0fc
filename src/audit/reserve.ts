import { open, stat, statfs } from 'node:fs/promises';

/**
 * Disk space kept back for the log: a file of zeros that is given up when the disk runs full. What it frees is for
 * refusals, checkpoints, and for the owner who makes room; whoever asks for anything else is turned away.
 */
export interface Reserve {
  /** `ample`; `low`: others that fill the disk and can be made again should stop; `used`: the reserve was given up. */
  level(): SpaceLevel;
  /** Looks at the disk again. Never rejects. */
  check(): Promise<void>;
}

export type SpaceLevel = 'ample' | 'low' | 'used';

export interface Space {
  readonly freeBytes: number;
  readonly totalBytes: number;
}

export interface ReserveOptions {
  /** A file on the file system of the log. */
  readonly path: string;
  /** 0: no reserve is kept, and the level is never `used`. */
  readonly bytes: number;
  readonly measure: () => Promise<Space>;
  readonly onLevel: (level: SpaceLevel, space: Space) => void;
}

const GIB = 2 ** 30;
/** What the log may write between two looks at the disk. */
const MARGIN_BYTES = 8 << 20;
const CHUNK = Buffer.alloc(1 << 20);

export function createReserve({ path, bytes, measure, onLevel }: ReserveOptions): Reserve {
  const margin = Math.min(MARGIN_BYTES, bytes);
  let level: SpaceLevel = 'ample';
  let checking: Promise<void> | undefined;
  return {
    level: () => level,
    check() {
      checking ??= look().finally(() => {
        checking = undefined;
      });
      return checking;
    },
  };

  async function look(): Promise<void> {
    const space = await measure().catch(() => undefined);
    // A disk that cannot be measured can be written or not: that, the writer finds out.
    if (space === undefined) return;
    const next = await levelOf(space);
    if (next === level) return;
    level = next;
    onLevel(next, space);
  }

  async function levelOf({ freeBytes, totalBytes }: Space): Promise<SpaceLevel> {
    if (bytes > 0) {
      const held = await sizeOf(path);
      if (freeBytes + held < bytes + margin) {
        if (held > 0) await resize(path, 0);
        return 'used';
      }
      // Only when there is more than enough, so that it does not go back and forth.
      if (level === 'used' && freeBytes + held < bytes + 2 * margin) return 'used';
      if (held < bytes && !(await resize(path, bytes))) return 'used';
    }
    return freeBytes < GIB || freeBytes < totalBytes / 10 ? 'low' : 'ample';
  }
}

/** Free space of the file system that `directory` lies on. */
export async function measureSpace(directory: string): Promise<Space> {
  const { bavail, blocks, bsize } = await statfs(directory);
  return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
}

async function sizeOf(path: string): Promise<number> {
  const found = await stat(path).catch(() => undefined);
  return found?.size ?? 0;
}

/** Makes the file as long as asked, of real blocks. False if the disk had no room: then it holds none. */
async function resize(path: string, bytes: number): Promise<boolean> {
  try {
    await using file = await open(path, 'a', 0o600);
    if (bytes === 0) await file.truncate(0);
    try {
      for (let held = (await file.stat()).size; held < bytes; held += CHUNK.length)
        await file.appendFile(CHUNK.subarray(0, bytes - held));
      await file.sync();
    } catch (error) {
      await file.truncate(0);
      throw error;
    }
    return true;
  } catch {
    return false;
  }
}
