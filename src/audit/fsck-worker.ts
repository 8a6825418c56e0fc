import { parentPort, workerData } from 'node:worker_threads';
import { checkBlock } from './block-check.ts';
import { blockTable, DONE, type FsckWorkerData, TAKEN } from './fsck-blocks.ts';
import { TILE_WIDTH } from './tile.ts';
import { createTileCache } from './tile-cache.ts';
import { HASH_BYTES, peaks } from './tree.ts';

/** Takes blocks until none is left, and notes the roots of the good ones. */
if (parentPort !== null) {
  const { directory, size, below, memory, blocks, perTurn } = workerData as FsckWorkerData;
  const { counts, isGood, roots } = blockTable(blocks, memory);
  const tiles = createTileCache(directory, size);
  for (;;) {
    const first = Atomics.add(counts, TAKEN, 1) * perTurn;
    if (first >= blocks) break;
    const end = Math.min(first + perTurn, blocks);
    for (let place = first; place < end; place++) {
      const { leaves, problems, announces } = checkBlock({
        directory,
        place,
        width: TILE_WIDTH,
        tile: tiles.read(0, place),
        pruned: (place + 1) * TILE_WIDTH <= below,
        // What is wrong with a block is found out by whoever asks.
        isSigned: () => false,
      });
      if (problems.length > 0 || announces || leaves.length !== TILE_WIDTH) continue;
      roots.set(peaks(leaves)[0] as Uint8Array, place * HASH_BYTES);
      isGood[place] = 1;
    }
    Atomics.add(counts, DONE, end - first);
  }
}
