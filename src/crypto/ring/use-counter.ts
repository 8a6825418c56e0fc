/**
 * Counts uses in memory against a number that is written ahead: the ring holds, for each version, more uses than there
 * have been, and is written again before they are used up. A crash so leaves a count that is too high, never too low.
 */
export interface UseCounter {
  /** One more use of a version for which the ring holds `written`. */
  count(id: string, written: number): void;
  /** Uses until now, or `written` if there were none in this process. */
  uses(id: string, written: number): number;
  /** What the ring should hold next for a version that was used in this process: uses until now and some more. */
  reservation(id: string): number | undefined;
}

const BLOCK_MIN = 1024;
const BLOCK_MAX = 1 << 20;

interface Count {
  readonly from: number;
  uses: number;
  /** No reservation is asked for again before this many uses: one is under way, or has just failed. */
  askAt: number;
}

/** `reserve` is called when a version's written count should grow; it may take its time, or fail. */
export function createUseCounter(reserve: () => void): UseCounter {
  const counts = new Map<string, Count>();
  /** Grows with the traffic, so that a busy key writes its ring a few dozen times in all. */
  const block = ({ from, uses }: Count): number => Math.min(Math.max(BLOCK_MIN, uses - from), BLOCK_MAX);
  return {
    count(id, written) {
      let count = counts.get(id);
      if (count === undefined) {
        count = { from: written, uses: written, askAt: 0 };
        counts.set(id, count);
      }
      count.uses++;
      if (written - count.uses >= block(count) / 2 || count.uses < count.askAt) return;
      count.askAt = count.uses + block(count) / 4;
      reserve();
    },
    uses: (id, written) => counts.get(id)?.uses ?? written,
    reservation(id) {
      const count = counts.get(id);
      return count && count.uses + block(count);
    },
  };
}
