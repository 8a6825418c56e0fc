import type { Verification, VerificationProblem, VerificationProgress } from './audit-log.ts';
import { checkBlock } from './block-check.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { createEdge, type Edge } from './edge.ts';
import { readLogFile, readTileFile } from './log-files.ts';
import { NoteError, type NoteVerifier } from './note.ts';
import { isRecorded, PRUNED_FILE, readPruned } from './prune.ts';
import { parseState, STATE_FILE } from './state.ts';
import { parseEntry } from './serialise.ts';
import { parseBundle, TILE_WIDTH } from './tile.ts';
import { createTileCache, type TileCache } from './tile-cache.ts';
import { peaks, rootOf } from './tree.ts';
import { checkWal } from './wal/check.ts';
import { type KeyRotation, keyRotationOf } from './witness/key-rotation.ts';

export interface VerificationOptions {
  /** Entries below this are taken by the hashes of their tiles, which the signed root covers. Default 0: all are read. */
  readonly since?: number;
  /** Roots of blocks of 256 entries that were found good already, by their place. */
  readonly good?: (place: number) => Uint8Array | undefined;
  /** Another checkpoint, no larger than the log, that must be consistent with it. */
  readonly cosigned?: Checkpoint;
}

/** With the rotations that the entries tell of, in their order. */
export type Verified = Verification & { readonly rotations: readonly KeyRotation[] };

const PROBLEMS_MAX = 100;

/**
 * Checks a log directory against a verifier key, a bundle of 256 entries at a step. Reads with blocking calls and holds
 * at most one bundle and one tile per level in memory.
 */
export function* verification(
  directory: string,
  verifiers: readonly NoteVerifier[],
  { since = 0, good, cosigned }: VerificationOptions = {},
): Generator<VerificationProgress, Verified> {
  const problems: VerificationProblem[] = [];
  const { head, published } = readHeads(directory, verifiers, problems);
  const rotations: KeyRotation[] = [];
  if (head === undefined || published === undefined) return { ...report(undefined, 0, problems), rotations };
  const { size } = head;
  const below = readBelow(directory, size, problems);
  const tiles = createTileCache(directory, size);
  const above: VerificationProblem[] = [];
  const edge = createEdge({
    onHash(level, place, hash) {
      const problem = level === 0 ? undefined : compareAbove(tiles, level, place, hash);
      const last = (place + 1) * TILE_WIDTH ** level;
      const isExplained = problems.some(
        ({ index = -1 }) => index >= place * TILE_WIDTH ** level && index < last,
      );
      if (problem !== undefined && !isExplained && above.length < PROBLEMS_MAX) above.push(problem);
    },
  });
  const smaller = [published, ...(cosigned === undefined ? [] : [cosigned])];
  const roots = new Map([[0, edge.root()]]);
  const noteRoot = (): void => {
    const at = edge.size();
    if (!roots.has(at) && smaller.some((each) => each.size === at)) roots.set(at, edge.root());
  };
  for (let place = 0; place * TILE_WIDTH < size; place++) {
    const end = Math.min((place + 1) * TILE_WIDTH, size);
    const isCut = smaller.some((each) => each.size > place * TILE_WIDTH && each.size < end);
    const isOld = end <= Math.min(since, published.size);
    const known = isCut ? undefined : isOld ? parentOf(tiles, place) : good?.(place);
    if (known !== undefined) {
      edge.append(known, 1);
    } else {
      const width = end - place * TILE_WIDTH;
      const tile = tiles.read(0, place);
      const isSigned = (leaves: readonly Uint8Array[]): boolean =>
        width === TILE_WIDTH
          ? same(parentOf(tiles, place), rootOf(peaks(leaves)))
          : same(head.root, rootWith(edge, size, leaves));
      const check = checkBlock({ directory, place, width, tile, pruned: end <= below, isSigned });
      if (problems.length < PROBLEMS_MAX) problems.push(...check.problems);
      for (const leaf of check.leaves) {
        edge.append(leaf);
        noteRoot();
      }
      if (check.announces) rotations.push(...readRotations(directory, place, width));
      if (check.leaves.length < width) break;
    }
    noteRoot();
    yield { checked: end, size };
  }
  const rootHolds = edge.size() === size && same(edge.root(), head.root);
  // Where the root is wrong, entries were changed together with their own tile: it is they who are not as signed.
  for (const each of above) problems.push(rootHolds ? each : { ...each, kind: 'entry' });
  const unsealed = yield* checkWal(
    directory,
    size,
    tiles,
    problems,
    () => readHeads(directory, verifiers, []).head?.size ?? size,
  );
  if (!rootHolds && problems.length === 0) {
    const message = `the ${size} entries and their tiles do not have the root hash that was signed`;
    problems.push({ kind: 'checkpoint', file: 'checkpoint', message });
  }
  for (const each of rootHolds ? smaller : []) {
    if (same(roots.get(each.size), each.root)) continue;
    const message = `the checkpoint of ${each.size} entries is not consistent with the log`;
    problems.push({
      kind: 'checkpoint',
      file: each === cosigned ? 'checkpoint.cosigned' : 'checkpoint',
      message,
    });
  }
  return { ...report(head, unsealed, problems), rotations };
}

/** Entries whose hashes were found good. */
function readRotations(directory: string, place: number, width: number): readonly KeyRotation[] {
  const bundle = readTileFile(directory, 'entries', place, width);
  const entries = bundle === undefined ? [] : parseBundle(bundle.bytes).entries.slice(0, width);
  return entries.flatMap((bytes) => {
    const entry = parseEntry(bytes);
    return (entry && keyRotationOf(entry)) ?? [];
  });
}

/** Entries below this were deleted by policy, if an entry of the log says so. */
export function readBelow(directory: string, size: number, problems: VerificationProblem[]): number {
  const pruned = readPruned(directory);
  if (pruned === undefined) return 0;
  if (isRecorded(directory, size, pruned)) return pruned.below;
  const message = `${PRUNED_FILE} says that entries below ${pruned.below} were deleted; entry ${pruned.entry} does not`;
  problems.push({ kind: 'entry', index: 0, file: PRUNED_FILE, message });
  return 0;
}

function report(
  head: Checkpoint | undefined,
  unsealed: number,
  problems: readonly VerificationProblem[],
): Verification {
  const sorted = problems.toSorted((a, b) => rank(a) - rank(b));
  return {
    ok: problems.length === 0,
    size: head?.size ?? 0,
    root: head === undefined ? '' : Buffer.from(head.root).toString('base64'),
    unsealed,
    problems: sorted.slice(0, PROBLEMS_MAX),
  };
}

function rank({ index }: VerificationProblem): number {
  return index ?? Number.MAX_SAFE_INTEGER;
}

/**
 * The newest checkpoint and the published one. They differ after a crash between signing, which goes to the state, and
 * publishing.
 */
export function readHeads(
  directory: string,
  verifiers: readonly NoteVerifier[],
  problems: VerificationProblem[],
): { readonly head?: Checkpoint; readonly published?: Checkpoint } {
  const note = readLogFile(directory, 'checkpoint')?.toString();
  const published = open('checkpoint', 'checkpoint', note, 'there is no checkpoint');
  const text = readLogFile(directory, STATE_FILE)?.toString();
  if (published === undefined) return {};
  if (text === undefined) return { head: published, published };
  const state = open('state', STATE_FILE, parseState(text)?.checkpoint, 'the file is damaged');
  if (state === undefined) return { head: published, published };
  if (state.size > published.size) return { head: state, published };
  if (state.size < published.size || !same(state.root, published.root)) {
    const message = `${STATE_FILE} signs ${state.size} entries, checkpoint signs another log of ${published.size}`;
    problems.push({ kind: 'state', file: STATE_FILE, message });
  }
  return { head: published, published };

  function open(
    kind: 'checkpoint' | 'state',
    file: string,
    text: string | undefined,
    missing: string,
  ): Checkpoint | undefined {
    try {
      if (text === undefined) throw new NoteError(missing);
      return openCheckpoint(text, verifiers);
    } catch (error) {
      if (!(error instanceof NoteError)) throw error;
      problems.push({ kind, file, message: `${file}: ${error.message}` });
      return undefined;
    }
  }
}

function compareAbove(
  tiles: TileCache,
  level: number,
  place: number,
  hash: Uint8Array,
): VerificationProblem | undefined {
  const tile = tiles.read(level, Math.floor(place / TILE_WIDTH));
  if (same(tile?.[place % TILE_WIDTH], hash)) return undefined;
  const index = place * TILE_WIDTH ** level;
  const last = index + TILE_WIDTH ** level - 1;
  const file = tiles.file(level, Math.floor(place / TILE_WIDTH));
  const message =
    tile === undefined
      ? `${file}, with the hash of entries ${index} to ${last}, is missing or has the wrong length`
      : `entries ${index} to ${last} do not have the hash in ${file}`;
  return { kind: 'tile', index, file, message };
}

function parentOf(tiles: TileCache, place: number): Uint8Array | undefined {
  return tiles.read(1, Math.floor(place / TILE_WIDTH))?.[place % TILE_WIDTH];
}

/** The root of the tree that has `leaves` as its last block. */
function rootWith(edge: Edge, size: number, leaves: readonly Uint8Array[]): Uint8Array {
  const levels = [leaves];
  for (let level = 1; TILE_WIDTH ** level <= size; level++) levels.push([...edge.partial(level)]);
  return createEdge({ levels }).root();
}

function same(a: Uint8Array | undefined, b: Uint8Array): boolean {
  return a !== undefined && Buffer.compare(a, b) === 0;
}
