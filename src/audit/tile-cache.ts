import { readTile } from './log-files.ts';
import { edgeTiles, TILE_WIDTH, tilePath } from './tile.ts';

/** The hash tiles of a log of one size, read as they are needed. */
export interface TileCache {
  /** The hashes of a tile that a tree of this size has; undefined if the file is missing or malformed. */
  read(level: number, index: number): readonly Uint8Array[] | undefined;
  file(level: number, index: number): string;
}

/** Remembers one tile per level: they are asked for in order. */
export function createTileCache(directory: string, size: number): TileCache {
  const last = new Map<
    number,
    { readonly index: number; readonly hashes: readonly Uint8Array[] | undefined }
  >();
  const partial = new Map(edgeTiles(size).map((tile) => [tile.level, tile]));
  const widthOf = (level: number, index: number): number => {
    const edge = partial.get(level);
    return edge?.index === index ? edge.width : TILE_WIDTH;
  };
  return {
    read(level, index) {
      const known = last.get(level);
      if (known?.index === index) return known.hashes;
      const hashes = readTile(directory, level, index, widthOf(level, index));
      last.set(level, { index, hashes });
      return hashes;
    },
    file: (level, index) => tilePath(level, index, widthOf(level, index)),
  };
}
