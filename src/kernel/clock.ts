/** Where time comes from. Services take a clock as an argument; tests move it by hand. */
export interface Clock {
  /** Wall time, milliseconds since 1970-01-01 UTC. It may step backwards. */
  now(): number;
  /** Milliseconds since an arbitrary start; it never goes backwards. For durations and deadlines. */
  monotonic(): number;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
};

export interface ManualClock extends Clock {
  advance(ms: number): void;
  /** Sets wall time alone, as an operator or a bad NTP server would. */
  step(to: number): void;
}

export function createManualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let wall = start;
  let elapsed = 0;
  return {
    now: () => wall,
    monotonic: () => elapsed,
    advance(ms) {
      wall += ms;
      elapsed += ms;
    },
    step(to) {
      wall = to;
    },
  };
}
