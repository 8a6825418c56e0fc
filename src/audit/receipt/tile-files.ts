import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../log-files.ts';
import { TILE_WIDTH, type TileLevel, tilePath } from '../tile.ts';

export interface FoundTile {
  /** Path below the directory of the log. */
  readonly file: string;
  /** What the name promises: so many hashes or entries. */
  readonly width: number;
  readonly bytes: Uint8Array;
}

/**
 * A tile or bundle with at least `width` of its hashes or entries: the narrowest partial one, else the full one. Not
 * every size was signed, and a partial tile goes when the full one is there, even while we look.
 */
export async function findTile(
  directory: string,
  level: TileLevel,
  index: number,
  width: number,
): Promise<FoundTile | undefined> {
  for (let attempt = 0; attempt < 2; attempt++) {
    const widths = width < TILE_WIDTH ? await partialWidths(directory, tilePath(level, index), width) : [];
    for (const each of [...widths, TILE_WIDTH]) {
      const file = tilePath(level, index, each);
      const bytes = await readIfThere(join(directory, file));
      if (bytes !== undefined) return { file, width: each, bytes };
    }
  }
  return undefined;
}

/** Widths of the partial tiles that are there and wide enough, the narrowest first. */
async function partialWidths(directory: string, full: string, width: number): Promise<readonly number[]> {
  try {
    const names = await readdir(join(directory, `${full}.p`));
    return names
      .filter((name) => /^[1-9][0-9]{0,2}$/.test(name))
      .map(Number)
      .filter((each) => each >= width && each < TILE_WIDTH)
      .toSorted((a, b) => a - b);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Undefined if there is no such file. */
export async function readIfThere(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
