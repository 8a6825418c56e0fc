import type { Clock } from '../kernel/clock.ts';

const WINDOW_MS = 60_000;

/** So many restarts in any minute, and no more. */
export interface RestartBudget {
  /** Uses one restart up; false if none is left. */
  take(): boolean;
  /** Milliseconds until `take` would be true; 0 if it is now. */
  waitMs(): number;
}

export function createRestartBudget({
  perMinute,
  clock,
}: {
  perMinute: number;
  clock: Clock;
}): RestartBudget {
  let taken: number[] = [];
  const waitMs = (): number => {
    const now = clock.monotonic();
    taken = taken.filter((at) => now - at < WINDOW_MS);
    const blocking = taken.at(-perMinute);
    if (perMinute <= 0) return WINDOW_MS;
    return blocking === undefined ? 0 : blocking + WINDOW_MS - now;
  };
  return {
    waitMs,
    take() {
      if (waitMs() > 0) return false;
      taken.push(clock.monotonic());
      return true;
    },
  };
}
