import { HASH_BYTES } from './tree.ts';

/** Paths and contents of C2SP tlog-tiles: 256 hashes to a tile, 256 entries to a bundle. */

export const TILE_WIDTH = 256;
const ENTRY_BYTES_MAX = 65_535;

/** `entries`: a bundle of entries; a number: the level of a tile of hashes. */
export type TileLevel = number | 'entries';

/** `tile/0/x001/x234/067`, or with a width below 256 `tile/0/x001/x234/067.p/8`. */
export function tilePath(level: TileLevel, index: number, width = TILE_WIDTH): string {
  const digits = String(index);
  const padded = digits.padStart(Math.ceil(digits.length / 3) * 3, '0');
  const groups = padded.match(/.{3}/g) ?? [];
  const path = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join('/');
  return `tile/${level}/${path}${width === TILE_WIDTH ? '' : `.p/${width}`}`;
}

/** One tile on the right edge of a tree, or a full one. */
export interface TileShape {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** The partial tiles of a tree of `size`, lowest level first; a level whose last tile is full has none. */
export function edgeTiles(size: number): readonly TileShape[] {
  const tiles: TileShape[] = [];
  for (let level = 0, nodes = size; nodes > 0; level++, nodes = Math.floor(nodes / TILE_WIDTH)) {
    const width = nodes % TILE_WIDTH;
    if (width > 0) tiles.push({ level, index: Math.floor(nodes / TILE_WIDTH), width });
  }
  return tiles;
}

export function encodeTile(hashes: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(hashes);
}

/** The first `width` hashes, or undefined if the tile is not whole hashes or holds fewer. */
export function parseTile(bytes: Uint8Array, width: number): readonly Uint8Array[] | undefined {
  if (bytes.length % HASH_BYTES !== 0 || bytes.length < width * HASH_BYTES) return undefined;
  return Array.from({ length: width }, (_, at) => bytes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES));
}

/** Each entry as two bytes of length, big endian, and its bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    entries.flatMap((entry) => {
      if (entry.length === 0 || entry.length > ENTRY_BYTES_MAX)
        throw new RangeError('an entry has 1 to 65535 bytes');
      const prefix = Buffer.alloc(2);
      prefix.writeUInt16BE(entry.length);
      return [prefix, entry];
    }),
  );
}

/** The entries up to the first that is cut short, and whether they are all there is. */
export function parseBundle(bytes: Uint8Array): {
  readonly entries: readonly Uint8Array[];
  readonly whole: boolean;
} {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const entries: Uint8Array[] = [];
  let offset = 0;
  while (offset + 2 <= bytes.length) {
    const end = offset + 2 + view.getUint16(offset);
    if (end > bytes.length) break;
    entries.push(bytes.subarray(offset + 2, end));
    offset = end;
  }
  return { entries, whole: offset === bytes.length };
}
