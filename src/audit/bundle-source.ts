import type { IndexedEntry } from './audit-log.ts';
import { readTileFile } from './log-files.ts';
import { auditProblems } from './problems.ts';
import { entryAt } from './starts.ts';
import { parseBundle, TILE_WIDTH } from './tile.ts';
import { leafHash } from './tree.ts';

/**
 * Entries `from`, `from + 1`, … of the bundles in `log/`, at most `limit` and all below `size`, which a checkpoint must
 * cover. Throws `audit.log_corrupt`.
 */
export function readBundles(
  directory: string,
  { from, limit, size }: { readonly from: number; readonly limit: number; readonly size: number },
): readonly IndexedEntry[] {
  const found: IndexedEntry[] = [];
  const end = Math.min(size, from + limit);
  for (let index = from; index < end; ) {
    const place = Math.floor(index / TILE_WIDTH);
    const file = readTileFile(directory, 'entries', place, Math.min(TILE_WIDTH, size - place * TILE_WIDTH));
    if (file === undefined)
      throw auditProblems.log_corrupt(`entry ${index} is missing: its bundle is not there`);
    const { entries } = parseBundle(file.bytes);
    for (; index < Math.min(end, (place + 1) * TILE_WIDTH); index++) {
      const bytes = entries[index % TILE_WIDTH];
      if (bytes === undefined) throw auditProblems.log_corrupt(`entry ${index} is missing from its bundle`);
      found.push({ index, leaf: leafHash(bytes), entry: entryAt(index, bytes) });
    }
  }
  return found;
}
