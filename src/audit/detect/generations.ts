/**
 * Values by key that go away by themselves: a key not touched for one to two windows is forgotten. Two maps, of which the
 * older is dropped whole, cost no clean-up (one map with eviction costs a scan of its tombstones). Plain data, so that a
 * checkpoint can hold it.
 */
export interface Generations<Value> {
  readonly windowMs: number;
  /** Keys in one generation; with one more, the older generation is dropped early. */
  readonly keysMax: number;
  epoch: number;
  current: Map<string, Value>;
  previous: Map<string, Value>;
  /** How often the older generation was dropped early. */
  spilled: number;
}

export const KEYS_MAX = 250_000;

export function createGenerations<Value>(windowMs: number, keysMax = KEYS_MAX): Generations<Value> {
  return { windowMs, keysMax, epoch: 0, current: new Map(), previous: new Map(), spilled: 0 };
}

/** The value at `key`, if it was touched in this window or the one before. */
export function peek<Value>(all: Generations<Value>, key: string, time: number): Value | undefined {
  turn(all, time);
  return all.current.get(key) ?? all.previous.get(key);
}

/** The value at `key`, made if there is none, and kept for another window. */
export function touch<Value>(
  all: Generations<Value>,
  key: string,
  time: number,
  make: (time: number) => Value,
): Value {
  turn(all, time);
  const found = all.current.get(key);
  if (found !== undefined) return found;
  const value = all.previous.get(key) ?? make(time);
  put(all, key, value);
  return value;
}

/** Keeps `value` at `key`, in place of what was there. */
export function set<Value>(all: Generations<Value>, key: string, time: number, value: Value): void {
  turn(all, time);
  put(all, key, value);
}

function put<Value>(all: Generations<Value>, key: string, value: Value): void {
  if (all.current.size >= all.keysMax && !all.current.has(key)) {
    all.previous = all.current;
    all.current = new Map();
    all.spilled++;
  }
  all.current.set(key, value);
}

export function sizeOf(all: Generations<unknown>): number {
  return all.current.size + all.previous.size;
}

/** Epochs are counted from 1970, so that what is kept depends on the entries alone, not on when one began to read. */
function turn(all: Generations<unknown>, time: number): void {
  const epoch = Math.floor(time / all.windowMs);
  if (epoch === all.epoch) return;
  // The clock stepped back a little: nothing of this is old.
  if (epoch === all.epoch - 1) return;
  all.previous = epoch === all.epoch + 1 ? all.current : new Map();
  all.current = new Map();
  all.epoch = epoch;
}
