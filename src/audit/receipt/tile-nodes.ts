import { HASH_BYTES, nodeHash } from '../tree.ts';

/** A tile of 256 hashes is a tree of this height. */
export const TILE_HEIGHT = 8;

/** A tile and the nodes above its hashes, worked out once. */
export interface TileNodes {
  /** Number of hashes. */
  readonly width: number;
  /** Node `offset` of `height`, which stands over 2^height hashes; undefined if they are not all there. */
  node(height: number, offset: number): Uint8Array | undefined;
}

export function createTileNodes(hashes: Uint8Array): TileNodes {
  const width = hashes.length / HASH_BYTES;
  const rows: Uint8Array[][] = [
    Array.from({ length: width }, (_, at) => hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES)),
  ];
  return { width, node: (height, offset) => row(height)[offset] };

  function row(height: number): readonly Uint8Array[] {
    const known = rows[height];
    if (known !== undefined) return known;
    const below = row(height - 1);
    const made = Array.from({ length: Math.floor(below.length / 2) }, (_, at) =>
      nodeHash(below[2 * at] as Uint8Array, below[2 * at + 1] as Uint8Array),
    );
    rows[height] = made;
    return made;
  }
}
