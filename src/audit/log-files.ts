import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { parseTile, TILE_WIDTH, type TileLevel, tilePath } from './tile.ts';

/** The bytes of a file below `directory`, or undefined if there is none. */
export function readLogFile(directory: string, file: string): Buffer | undefined {
  try {
    return readFileSync(join(directory, file));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ENOTDIR';
}

export interface TileFile {
  readonly file: string;
  readonly bytes: Buffer;
  /** How many hashes or entries the file's name promises. */
  readonly width: number;
}

/** A tile or bundle, or, where the partial one is gone because the log has grown, the full one. */
export function readTileFile(
  directory: string,
  level: TileLevel,
  index: number,
  width: number,
): TileFile | undefined {
  for (const each of width === TILE_WIDTH ? [width] : [width, TILE_WIDTH]) {
    const file = tilePath(level, index, each);
    const bytes = readLogFile(directory, file);
    if (bytes !== undefined) return { file, bytes, width: each };
  }
  return undefined;
}

/** The first `width` hashes of a tile; undefined if the file is missing or malformed. */
export function readTile(
  directory: string,
  level: number,
  index: number,
  width: number,
): readonly Uint8Array[] | undefined {
  const tile = readTileFile(directory, level, index, width);
  return tile === undefined || tile.bytes.length !== tile.width * 32
    ? undefined
    : parseTile(tile.bytes, width);
}

/** Writes files so that a reader sees all of one or none of it, before and after a power failure. */
export interface LogWriter {
  /** Temporary file, fsync, rename. The name is durable after `settle`. */
  put(file: string, bytes: Uint8Array): void;
  /** Flushes the directories of everything put since the last call. */
  settle(): void;
  remove(file: string): void;
}

export function createLogWriter(directory: string): LogWriter {
  const touched = new Set<string>();
  return {
    put(file, bytes) {
      const path = join(directory, file);
      const parent = dirname(path);
      const created = mkdirSync(parent, { recursive: true, mode: 0o700 });
      touched.add(parent);
      if (created !== undefined) {
        for (let each = parent; each.length >= created.length; each = dirname(each))
          touched.add(dirname(each));
      }
      const temporary = `${path}.tmp`;
      writeWhole(temporary, bytes);
      renameSync(temporary, path);
    },
    settle() {
      for (const each of touched) {
        syncDirectory(each);
        touched.delete(each);
      }
    },
    remove: (file) => rmSync(join(directory, file), { recursive: true, force: true }),
  };
}

function writeWhole(path: string, bytes: Uint8Array): void {
  const fd = openSync(path, 'w', 0o600);
  try {
    const count = writeSync(fd, bytes);
    if (count !== bytes.length)
      throw new Error(`${path}: ${count} of ${bytes.length} bytes were written; is the disk full?`);
    fsyncSync(fd);
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
