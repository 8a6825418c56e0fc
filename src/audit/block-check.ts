import type { VerificationProblem } from './audit-log.ts';
import { readTileFile } from './log-files.ts';
import { TILE_WIDTH, tilePath } from './tile.ts';
import { leafHashInPlace } from './tree.ts';
import { KEY_ROTATE } from './witness/key-rotation.ts';

const ANNOUNCEMENT = Buffer.from(`"action":"${KEY_ROTATE}"`);

/** What stands where up to 256 entries and their leaf hashes should be. */
export interface BlockCheck {
  /** The leaf hashes to go on with; fewer than the width of the block if neither file has them. */
  readonly leaves: readonly Uint8Array[];
  readonly problems: readonly VerificationProblem[];
  /** Some entry in it may announce a new key of the log. */
  readonly announces: boolean;
}

export interface Block {
  readonly directory: string;
  /** Its place among the blocks of 256. */
  readonly place: number;
  /** How many entries the log has in it. */
  readonly width: number;
  /** Its level-0 tile, or undefined if that cannot be read. */
  readonly tile: readonly Uint8Array[] | undefined;
  /** Its entries may have been deleted by policy. */
  readonly pruned: boolean;
  /** Claims that what is above these leaf hashes, up to the signature, was made from them. */
  readonly isSigned: (leaves: readonly Uint8Array[]) => boolean;
}

export function checkBlock({ directory, place, width, tile, pruned, isSigned }: Block): BlockCheck {
  const first = place * TILE_WIDTH;
  const tileFile = tilePath(0, place, width);
  const bundle = readTileFile(directory, 'entries', place, width);
  const file = bundle?.file ?? tilePath('entries', place, width);
  const problems: VerificationProblem[] = [];
  if (tile === undefined) {
    const message = `${tileFile}, with the hash of entry ${first}, is missing or has the wrong length`;
    problems.push({ kind: 'tile', index: first, file: tileFile, message });
  }
  if (bundle === undefined && pruned) return { leaves: tile ?? [], problems, announces: false };
  if (bundle === undefined) {
    problems.push({
      kind: 'entry',
      index: first,
      file,
      message: `entry ${first} is missing: there is no ${file}`,
    });
    return { leaves: tile ?? [], problems, announces: false };
  }
  // Before they are hashed, which overwrites what stands between them.
  const announces = bundle.bytes.includes(ANNOUNCEMENT);
  const { leaves, whole } = hashBundle(bundle.bytes, bundle.width);
  const own = leaves.slice(0, width);
  const wrong = tile === undefined ? -1 : own.findIndex((leaf, at) => !same(leaf, tile[at]));
  if (wrong !== -1) {
    const index = first + wrong;
    if (own.length === width && isSigned(own)) {
      const message = `${tileFile} holds a wrong hash for entry ${index}; the entry itself is as signed`;
      const tileProblem = { kind: 'tile', index, file: tileFile, message } as const;
      return { leaves: own, problems: [tileProblem], announces };
    }
    problems.push({ kind: 'entry', index, file, message: `entry ${index} does not match its leaf hash` });
  } else if (leaves.length < bundle.width || !whole) {
    const index = first + leaves.length;
    const what = leaves.length < bundle.width ? 'is missing or cut short in' : 'should not be in';
    problems.push({ kind: 'entry', index, file, message: `entry ${index} ${what} ${file}` });
  }
  return { leaves: problems.length > 0 ? (tile ?? own) : own, problems, announces };
}

/** Leaf hashes of at most `width` entries, up to the first that is cut short. `whole`: nothing is left over. */
function hashBundle(
  bytes: Buffer,
  width: number,
): { readonly leaves: readonly Uint8Array[]; readonly whole: boolean } {
  const leaves: Uint8Array[] = [];
  let offset = 0;
  while (offset + 2 <= bytes.length && leaves.length < width) {
    const end = offset + 2 + bytes.readUInt16BE(offset);
    if (end > bytes.length) break;
    leaves.push(leafHashInPlace(bytes, offset + 2, end));
    offset = end;
  }
  return { leaves, whole: offset === bytes.length };
}

function same(a: Uint8Array, b: Uint8Array | undefined): boolean {
  return b !== undefined && Buffer.compare(a, b) === 0;
}
