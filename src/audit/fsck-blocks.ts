import { Worker } from 'node:worker_threads';
import type { VerificationProgress } from './audit-log.ts';
import { TILE_WIDTH } from './tile.ts';
import { HASH_BYTES } from './tree.ts';
import { workerUrl } from './worker-url.ts';

const BLOCKS_PER_TURN_MAX = 16;

/** Memory that the threads share: what is taken, what is done, and for each block whether it is good, and its root. */
export interface BlockTable {
  readonly memory: SharedArrayBuffer;
  readonly counts: Int32Array;
  readonly isGood: Uint8Array;
  readonly roots: Uint8Array;
}

export const TAKEN = 0;
export const DONE = 1;

export interface FsckWorkerData {
  readonly directory: string;
  /** Entries under the checkpoint. */
  readonly size: number;
  /** Entries below this may have been deleted by policy. */
  readonly below: number;
  /** That of the `BlockTable`. */
  readonly memory: SharedArrayBuffer;
  readonly blocks: number;
  /** Blocks that a thread takes at a time. */
  readonly perTurn: number;
}

const COUNTS_BYTES = 8;
const PROGRESS_MS = 100;

export function blockTable(
  blocks: number,
  memory = new SharedArrayBuffer(COUNTS_BYTES + blocks * (1 + HASH_BYTES)),
): BlockTable {
  return {
    memory,
    counts: new Int32Array(memory, 0, 2),
    isGood: new Uint8Array(memory, COUNTS_BYTES, blocks),
    roots: new Uint8Array(memory, COUNTS_BYTES + blocks, blocks * HASH_BYTES),
  };
}

/**
 * The roots of the full blocks of 256 entries that are good: entries, their lengths and their level-0 tile. Of others
 * nothing is said, nor of blocks that announce a new key: whoever asks looks for himself.
 */
export async function hashBlocks({
  directory,
  size,
  below,
  workers,
  onProgress,
}: {
  readonly directory: string;
  readonly size: number;
  readonly below: number;
  readonly workers: number;
  readonly onProgress: (progress: VerificationProgress) => void;
}): Promise<(place: number) => Uint8Array | undefined> {
  const blocks = Math.floor(size / TILE_WIDTH);
  const { memory, counts, isGood, roots } = blockTable(blocks);
  const perTurn = Math.min(BLOCKS_PER_TURN_MAX, Math.max(1, Math.floor(blocks / workers)));
  const workerData: FsckWorkerData = { directory, size, below, memory, blocks, perTurn };
  const show = (): void => {
    onProgress({ checked: Math.min(Atomics.load(counts, DONE), blocks) * TILE_WIDTH, size });
  };
  const timer = setInterval(show, PROGRESS_MS);
  const count = Math.min(workers, Math.ceil(blocks / perTurn));
  await Promise.all(Array.from({ length: count }, () => runWorker(workerData)));
  clearInterval(timer);
  show();
  return (place) =>
    place < blocks && isGood[place] === 1
      ? roots.slice(place * HASH_BYTES, (place + 1) * HASH_BYTES)
      : undefined;
}

/** A thread that fails leaves its blocks to the others, or to the one who asks, who fails in the same way. */
function runWorker(workerData: FsckWorkerData): Promise<void> {
  const worker = new Worker(workerUrl('fsck-worker', import.meta.url), { workerData });
  return new Promise((resolve) => {
    worker.on('error', () => {});
    worker.once('exit', () => resolve());
  });
}
