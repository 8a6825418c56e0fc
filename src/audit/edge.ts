import { TILE_WIDTH } from './tile.ts';
import { peaks, rootOf } from './tree.ts';

/**
 * The right edge of a growing log, as tiles: at each level the hashes of the last, partial tile. It is all the memory
 * that a tree of any size needs.
 */
export interface Edge {
  /** Number of leaves. */
  size(): number;
  /** Appends the root of a complete subtree of 256^level leaves; 0, the default, is a leaf. */
  append(hash: Uint8Array, level?: number): void;
  /** Hashes of the partial tile at `level`; empty if the last one is full. */
  partial(level: number): readonly Uint8Array[];
  root(): Uint8Array;
}

/** `onHash` is told of every hash with its place in its level, `onTile` of every tile that became full. */
export function createEdge({ onHash, onTile, levels = [] }: EdgeOptions = {}): Edge {
  const tiles: Uint8Array[][] = levels.map((hashes) => [...hashes]);
  const counts: number[] = [];
  let size = 0;
  for (let level = tiles.length - 1, above = 0; level >= 0; level--) {
    above = above * TILE_WIDTH + (tiles[level] ?? []).length;
    counts[level] = above;
    size = above;
  }
  return {
    size: () => size,
    append(hash, level = 0) {
      size += TILE_WIDTH ** level;
      push(hash, level);
    },
    partial: (level) => tiles[level] ?? [],
    root: () => rootOf(tiles.toReversed().flatMap((hashes) => peaks(hashes))),
  };

  function push(hash: Uint8Array, level: number): void {
    const tile = (tiles[level] ??= []);
    const place = counts[level] ?? 0;
    onHash?.(level, place, hash);
    tile.push(hash);
    counts[level] = place + 1;
    if (tile.length < TILE_WIDTH) return;
    tiles[level] = [];
    onTile?.(level, (place + 1) / TILE_WIDTH - 1, tile);
    push(peaks(tile)[0] as Uint8Array, level + 1);
  }
}

export interface EdgeOptions {
  readonly onHash?: (level: number, place: number, hash: Uint8Array) => void;
  readonly onTile?: (level: number, index: number, hashes: readonly Uint8Array[]) => void;
  /** Partial tiles of an existing tree, lowest level first. */
  readonly levels?: readonly (readonly Uint8Array[])[];
}
