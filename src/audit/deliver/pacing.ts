import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

/** How a delivery waits. Tests move it by hand. */
export interface Pacing {
  /** Resolves after `ms`, or when `signal` fires; never rejects. */
  wait(ms: number, signal: AbortSignal): Promise<void>;
  /** At random, from 0 to 1: sinks that failed together do not come back together. */
  jitter(): number;
}

export const systemPacing: Pacing = {
  wait: (ms, signal) => sleep(ms, undefined, { signal, ref: false }).catch(() => {}),
  jitter: () => randomInt(1 << 20) / (1 << 20),
};

/** Milliseconds before attempt `attempt + 1`: from half of 1, 2, 4, … seconds to all of it, at most a minute. */
export function backoffMs(attempt: number, jitter: number): number {
  const ceiling = Math.min(60_000, 1000 * 2 ** Math.min(attempt - 1, 16));
  return Math.round(ceiling * (0.5 + jitter / 2));
}
