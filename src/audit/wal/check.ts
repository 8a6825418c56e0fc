import type { VerificationProblem, VerificationProgress } from '../audit-log.ts';
import { isMissing } from '../log-files.ts';
import { parseEntry } from '../serialise.ts';
import { TILE_WIDTH } from '../tile.ts';
import type { TileCache } from '../tile-cache.ts';
import { leafHash } from '../tree.ts';
import { readChain } from './chain.ts';

const PROBLEMS_MAX = 100;

/**
 * Checks every record and compares those that are sealed with the tree. Returns how many are not sealed. `signedNow`: the
 * size of the newest checkpoint by now, since a log in use goes on while it is checked.
 */
export function* checkWal(
  directory: string,
  size: number,
  tiles: TileCache,
  problems: VerificationProblem[],
  signedNow: () => number,
): Generator<VerificationProgress, number> {
  for (let attempt = 0; ; attempt++) {
    const found: VerificationProblem[] = [];
    try {
      const records = readChain(directory);
      let step = records.next();
      for (; step.done !== true; step = records.next()) {
        const { index, entry, file } = step.value;
        const sealed =
          index < size ? tiles.read(0, Math.floor(index / TILE_WIDTH))?.[index % TILE_WIDTH] : undefined;
        const differs = sealed !== undefined && !same(leafHash(entry), sealed);
        if (differs && found.length < PROBLEMS_MAX) {
          found.push({
            kind: 'wal',
            index,
            file,
            message: `entry ${index} in ${file} is not the one that was sealed`,
          });
        } else if (index >= size && parseEntry(entry) === undefined) {
          found.push({ kind: 'wal', index, file, message: `entry ${index} in ${file} is not a valid entry` });
        }
        if (index % TILE_WIDTH === 0) yield { checked: size, size };
      }
      const { fault, first, next } = step.value;
      // A group that is being written while it is read looks damaged for a moment.
      if (fault !== undefined && fault.index >= size && attempt < 3) continue;
      if (fault !== undefined) found.push({ kind: 'wal', ...fault });
      const isGone = first !== undefined && first > size && first > signedNow();
      if (first !== undefined && fault === undefined && (isGone || next < size)) {
        const index = first > size ? size : next;
        const message = `entry ${index} is missing: wal/ holds ${first} to ${next - 1}, the checkpoint signs ${size} entries`;
        found.push({ kind: 'wal', index, file: 'wal', message });
      }
      problems.push(...found);
      return Math.max(0, next - size);
    } catch (error) {
      // The log is in use, and the segment was removed because two checkpoints cover it.
      if (!isMissing(error) || attempt === 3) throw error;
    }
  }
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
