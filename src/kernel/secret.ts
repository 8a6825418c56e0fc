import { inspect } from 'node:util';

const REDACTED = '[redacted]';

/**
 * A value that must not be printed. JSON, string conversion and inspection all say `[redacted]`; only `reveal()` gives
 * the value, so that every use can be found by searching for that word.
 */
export class Secret<T> {
  readonly #value: T;

  constructor(value: T) {
    this.#value = value;
  }

  reveal(): T {
    return this.#value;
  }

  toJSON(): string {
    return REDACTED;
  }

  toString(): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}
