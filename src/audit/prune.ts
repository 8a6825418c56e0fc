import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogWriter, readLogFile, readTile, readTileFile } from './log-files.ts';
import { parseEntry } from './serialise.ts';
import { parseBundle, TILE_WIDTH, tilePath } from './tile.ts';
import { leafHash } from './tree.ts';

/**
 * What was deleted by policy: entry bundles below an index, which C2SP tlog-tiles calls the minimum index. Tiles and
 * checkpoints stay, so that every proof stays what it was. The deletion is an entry itself, and the file only says where.
 */
export interface Pruned {
  /** Entries below this index may be missing; a multiple of 256. */
  readonly below: number;
  /** Index of the entry that says so. */
  readonly entry: number;
}

export const PRUNED_FILE = 'pruned.json';
export const PRUNE_ACTION = 'audit.prune';

/** Undefined if nothing was, or if the file is not what `writePruned` writes. */
export function readPruned(directory: string): Pruned | undefined {
  const text = readLogFile(directory, PRUNED_FILE)?.toString() ?? '';
  const [, below = '', entry = ''] = /^\{"v":1,"below":(\d{1,15}),"entry":(\d{1,15})\}\n$/.exec(text) ?? [];
  return below === '' ? undefined : { below: Number(below), entry: Number(entry) };
}

/** Durable when it returns. */
export function writePruned(directory: string, { below, entry }: Pruned): void {
  const files = createLogWriter(directory);
  files.put(PRUNED_FILE, Buffer.from(`${JSON.stringify({ v: 1, below, entry })}\n`));
  files.settle();
}

/** Claims that the log of `size` entries says itself what the file says. */
export function isRecorded(directory: string, size: number, { below, entry }: Pruned): boolean {
  if (below % TILE_WIDTH !== 0 || below > entry || entry >= size) return false;
  const place = Math.floor(entry / TILE_WIDTH);
  const width = Math.min(TILE_WIDTH, size - place * TILE_WIDTH);
  const bundle = readTileFile(directory, 'entries', place, width);
  const bytes = bundle && parseBundle(bundle.bytes).entries[entry % TILE_WIDTH];
  const leaf = readTile(directory, 0, place, width)?.[entry % TILE_WIDTH];
  if (bytes === undefined || leaf === undefined || Buffer.compare(leafHash(bytes), leaf) !== 0) return false;
  const said = parseEntry(bytes);
  return said?.action === PRUNE_ACTION && said.decision === 'allow' && said.detail?.['below'] === below;
}

/** Goes on with a removal that was cut off: bundles go in ascending order, so what is left lies below `below`. */
export async function finishRemoval(directory: string, below: number): Promise<void> {
  for (let place = below / TILE_WIDTH - 1; place >= 0; place--) {
    const isGone = await rm(join(directory, tilePath('entries', place))).then(
      () => false,
      () => true,
    );
    if (isGone) return;
  }
}

/** Removes the bundles from `from` to `below`, both multiples of 256; those that are gone already do no harm. */
export async function removeBundles(directory: string, from: number, below: number): Promise<void> {
  for (let place = from / TILE_WIDTH; place < below / TILE_WIDTH; place++) {
    const path = join(directory, tilePath('entries', place));
    await rm(path, { force: true });
    await rm(`${path}.p`, { recursive: true, force: true });
  }
}
