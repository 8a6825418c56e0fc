import { auditProblems } from '../problems.ts';
import { TILE_WIDTH, tilePath } from '../tile.ts';
import { consistencyProof, EMPTY_ROOT, HASH_BYTES, nodeHash, type Subtree } from '../tree.ts';
import { findTile } from './tile-files.ts';
import { createTileNodes, TILE_HEIGHT, type TileNodes } from './tile-nodes.ts';

/** Proofs from the hash tiles of a log, of any size that its tiles hold: nothing else below `log/` is read. */
export interface Prover {
  /**
   * PATH(index, D[0:size]) of RFC 6962, from the leaf upwards. Rejects with a RangeError for an index that is not in
   * the tree, with `audit.log_corrupt` if a tile is missing or malformed. What is wrong inside a tile shows when the
   * proof is verified.
   */
  inclusion(index: number, size: number): Promise<Uint8Array[]>;
  /** PROOF(from, D[0:to]) of RFC 6962. Empty if the sizes are equal. Rejects as `inclusion`; also if `from` is 0. */
  consistency(from: number, to: number): Promise<Uint8Array[]>;
  /** The root of the first `size` entries. Rejects as `inclusion`. */
  root(size: number): Promise<Uint8Array>;
}

/** So many tiles are remembered, 16 KiB each. */
const TILES_MAX = 512;
/** The right edges of so many sizes: proofs are asked for against the newest checkpoint, and the one before. */
const SIZES_MAX = 4;
/** A tile's place in its level is below 2^45. */
const LEVEL_STRIDE = 2 ** 46;

/** `directory` is `log/` of a keep, open or not, or a copy of it. */
export function createProver({ directory }: { readonly directory: string }): Prover {
  const known = new Map<number, TileNodes>();
  const loading = new Map<number, { readonly width: number; readonly tile: Promise<TileNodes> }>();
  const edges = new Map<number, RightEdge>();
  return {
    async inclusion(index, size) {
      if (!isCount(index) || !isCount(size) || index >= size)
        throw new RangeError(`no entry ${index} in a tree of ${size}`);
      const edge = await edgeOf(size);
      return prove((subtree) => pathTo(index, edge, subtree));
    },
    consistency: (from, to) => prove((subtree) => consistencyProof(from, to, subtree)),
    async root(size) {
      if (!isCount(size)) throw new RangeError(`no tree has ${size} entries`);
      return (await edgeOf(size))[0]?.root ?? EMPTY_ROOT;
    },
  };

  async function edgeOf(size: number): Promise<RightEdge> {
    const known = edges.get(size);
    if (known !== undefined) return known;
    const places = peaksOf(size);
    const hashes = await prove((subtree) =>
      places.map(({ level, start }) => subtree(level, start / 2 ** level)),
    );
    const edge: Peak[] = [];
    for (const [at, place] of [...places.entries()].reverse()) {
      const hash = hashes[at] as Uint8Array;
      const right = edge[0]?.root;
      edge.unshift({ ...place, hash, root: right === undefined ? hash : nodeHash(hash, right) });
    }
    edges.set(size, edge);
    for (const [oldest] of edges) if (edges.size > SIZES_MAX) edges.delete(oldest);
    return edge;
  }

  /** Works out which nodes are needed, reads their tiles all at once, and makes the proof of what it read. */
  async function prove(make: (subtree: Subtree) => readonly Uint8Array[]): Promise<Uint8Array[]> {
    const read = new Map<number, TileNodes>();
    for (;;) {
      const missing = new Map<number, Place>();
      const proof = make((level, index) => {
        const place = placeOf(level, index);
        const tile = read.get(place.key) ?? recall(place.key);
        const node = tile?.node(place.height, place.offset);
        if (node !== undefined) return node;
        if ((missing.get(place.key)?.width ?? 0) < place.width) missing.set(place.key, place);
        return EMPTY_ROOT;
      });
      if (missing.size === 0) return [...proof];
      await Promise.all(
        [...missing].map(async ([key, place]) => {
          read.set(key, await loadOnce(place));
        }),
      );
    }
  }

  /** Proofs that begin together share what they read. */
  function loadOnce(place: Place): Promise<TileNodes> {
    const { key, width } = place;
    const other = loading.get(key);
    if (other !== undefined && other.width >= width) return other.tile;
    const tile = load(directory, place);
    const own = { width, tile };
    loading.set(key, own);
    const forget = (): void => {
      if (loading.get(key) === own) loading.delete(key);
    };
    return tile.then(
      (loaded) => {
        forget();
        remember(key, loaded);
        return loaded;
      },
      (error: unknown) => {
        forget();
        throw error;
      },
    );
  }

  function recall(key: number): TileNodes | undefined {
    const tile = known.get(key);
    if (tile === undefined) return undefined;
    known.delete(key);
    known.set(key, tile);
    return tile;
  }

  function remember(key: number, tile: TileNodes): void {
    const old = known.get(key);
    if (old !== undefined && old.width >= tile.width) return;
    known.delete(key);
    known.set(key, tile);
    for (const [oldest] of known) {
      if (known.size <= TILES_MAX) return;
      known.delete(oldest);
    }
  }
}

/** Where the root of a complete subtree stands. */
interface Place {
  readonly key: number;
  readonly level: number;
  readonly index: number;
  /** Hashes of the tile that must be there for it. */
  readonly width: number;
  /** Above the hashes of the tile; and its place among the nodes of that height. */
  readonly height: number;
  readonly offset: number;
}

function placeOf(subtreeLevel: number, subtreeIndex: number): Place {
  const level = Math.floor(subtreeLevel / TILE_HEIGHT);
  const height = subtreeLevel % TILE_HEIGHT;
  const perTile = TILE_WIDTH / 2 ** height;
  const index = Math.floor(subtreeIndex / perTile);
  const offset = subtreeIndex % perTile;
  return {
    key: level * LEVEL_STRIDE + index,
    level,
    index,
    width: (offset + 1) * 2 ** height,
    height,
    offset,
  };
}

/** One of the largest complete subtrees of a tree, from left to right. */
interface Peak {
  readonly level: number;
  readonly start: number;
  readonly hash: Uint8Array;
  /** The root over this one and all to its right. */
  readonly root: Uint8Array;
}
type RightEdge = readonly Peak[];

function peaksOf(size: number): readonly Pick<Peak, 'level' | 'start'>[] {
  const found: Pick<Peak, 'level' | 'start'>[] = [];
  for (let start = 0, level = 52; level >= 0; level--) {
    if (size - start < 2 ** level) continue;
    found.push({ level, start });
    start += 2 ** level;
  }
  return found;
}

/** The siblings up to the peak over the leaf, everything to the right of that peak as one, the peaks to its left. */
function pathTo(index: number, edge: RightEdge, subtree: Subtree): readonly Uint8Array[] {
  const at = edge.findLastIndex(({ start }) => start <= index);
  const path: Uint8Array[] = [];
  let node = index;
  for (let level = 0; level < (edge[at]?.level ?? 0); level++) {
    path.push(subtree(level, node % 2 === 0 ? node + 1 : node - 1));
    node = Math.floor(node / 2);
  }
  const right = edge[at + 1];
  if (right !== undefined) path.push(right.root);
  for (let left = at - 1; left >= 0; left--) path.push((edge[left] as Peak).hash);
  return path;
}

async function load(directory: string, { level, index, width }: Place): Promise<TileNodes> {
  const tile = await findTile(directory, level, index, width);
  if (tile === undefined) {
    throw auditProblems.log_corrupt(`there is no ${tilePath(level, index)} with ${width} hashes`);
  }
  if (tile.bytes.length !== tile.width * HASH_BYTES) {
    throw auditProblems.log_corrupt(`${tile.file} does not hold ${tile.width} hashes`);
  }
  return createTileNodes(tile.bytes);
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;
