import { encodeBundle, parseBundle, TILE_WIDTH, type TileLevel, tilePath } from '../tile.ts';
import { HASH_BYTES } from '../tree.ts';
import { findTile } from './tile-files.ts';

/** A tile as a client asks for it. */
export interface TilePlace {
  readonly level: TileLevel;
  readonly index: number;
  /** Below 256: the partial tile of that width. */
  readonly width: number;
}

const LEVEL_MAX = 63;
const TAIL = /^(?<groups>(?:x[0-9]{3}\/){0,4}[0-9]{3})(?:\.p\/(?<width>[1-9][0-9]{0,2}))?$/;

/** Reads `x001/x234/067.p/8`, the end of a path of C2SP tlog-tiles. Undefined for anything that `tilePath` never writes. */
export function parseTilePath(level: TileLevel, tail: string): TilePlace | undefined {
  const groups = TAIL.exec(tail)?.groups;
  if (groups === undefined || (level !== 'entries' && level > LEVEL_MAX)) return undefined;
  const index = Number((groups['groups'] ?? '').replaceAll(/\D/g, ''));
  const width = Number(groups['width'] ?? TILE_WIDTH);
  if (groups['width'] !== undefined && width >= TILE_WIDTH) return undefined;
  return tilePath(level, index, width) === `tile/${level}/${tail}` ? { level, index, width } : undefined;
}

/** Exactly that many hashes or entries, cut out of a wider tile if need be; undefined if there is none. */
export async function readTileExactly(
  directory: string,
  { level, index, width }: TilePlace,
): Promise<Uint8Array | undefined> {
  const tile = await findTile(directory, level, index, width);
  if (tile === undefined || tile.width === width) return tile?.bytes;
  return level === 'entries'
    ? encodeBundle(parseBundle(tile.bytes).entries.slice(0, width))
    : tile.bytes.subarray(0, width * HASH_BYTES);
}
