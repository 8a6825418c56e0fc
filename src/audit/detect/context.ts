import { FLAG, type DetectionEvent } from './event.ts';
import { createGenerations, type Generations, peek, set, touch } from './generations.ts';
import { addInput, createInputs, INPUT_DAYS, type Inputs } from './inputs.ts';

/** What several rules need to know. Plain data, like a rule's own state. */
export interface DetectionContext {
  readonly pairs: Generations<Pair>;
  /** When somebody last came in from an address. */
  readonly welcomes: Generations<number>;
  /** Whom a rule of guessing has met, by principal, pair, address or network. */
  readonly suspects: Generations<Suspicion>;
  /** What a principal has sent to a model, by both. */
  readonly inputs: Generations<Inputs>;
}

/** A principal at an address. */
export interface Pair {
  /** When it first came in, of what is remembered; 0 for never. */
  goodAt: number;
  /** Refusals since it last came in. */
  failures: number;
  /** The same, with those that were no guesses. */
  refusals: number;
  failedFirst: number;
  failedLast: number;
  /** Index of the last refusal. */
  failedIndex: number;
}

export interface Suspicion {
  readonly time: number;
  readonly rule: string;
  readonly evidence: readonly number[];
}

/** Who came in from an address is known there for one to two weeks. */
const KNOWN_MS = 7 * 86_400_000;
const SUSPECT_MS = 30 * 60_000;
/** At most 16 KiB each, for those who ask much; some hundred bytes for most. */
const INPUTS_MAX = 50_000;

export function createContext(): DetectionContext {
  return {
    pairs: createGenerations(KNOWN_MS),
    welcomes: createGenerations(SUSPECT_MS),
    suspects: createGenerations(SUSPECT_MS),
    inputs: createGenerations(INPUT_DAYS * 86_400_000, INPUTS_MAX),
  };
}

/** Takes in an event before the rules see it: what was sent, and who is back after a refusal. */
export function greet(context: DetectionContext, event: DetectionEvent): Pair | undefined {
  const { flags, time, use, inputTag } = event;
  if ((flags & FLAG.invoked) !== 0 && inputTag !== '') {
    event.inputs = touch(context.inputs, use, time, createInputs);
    addInput(event.inputs, inputTag, time);
  }
  if ((flags & (FLAG.authenticated | FLAG.refused)) === 0) return undefined;
  if (event.address === '' || event.principal === '') return undefined;
  const pair = touch(context.pairs, event.pair, time, createPair);
  if ((flags & FLAG.authenticated) !== 0 && pair.refusals > 0) event.flags |= FLAG.returned;
  return pair;
}

/** Takes in an event after the rules have seen it. `pair`: what `greet` gave. */
export function note(context: DetectionContext, event: DetectionEvent, pair: Pair): void {
  const { flags, time } = event;
  if ((flags & FLAG.authenticated) !== 0) {
    if (pair.goodAt === 0) pair.goodAt = time;
    pair.failures = 0;
    pair.refusals = 0;
    set(context.welcomes, event.address, time, time);
  } else {
    pair.refusals++;
    if ((flags & FLAG.guess) === 0) return;
    if (pair.failures === 0) pair.failedFirst = time;
    pair.failures++;
    pair.failedLast = time;
    pair.failedIndex = event.index;
  }
}

const createPair = (): Pair => ({
  goodAt: 0,
  failures: 0,
  refusals: 0,
  failedFirst: 0,
  failedLast: 0,
  failedIndex: 0,
});

export function pairOf(context: DetectionContext, pair: string, time: number): Readonly<Pair> | undefined {
  return peek(context.pairs, pair, time);
}

/** Claims that the principal had come in from the address before `before`. */
export function isKnown(context: DetectionContext, pair: string, before: number): boolean {
  const known = context.pairs.current.get(pair) ?? context.pairs.previous.get(pair);
  return known !== undefined && known.goodAt !== 0 && known.goodAt < before;
}

/** Claims that somebody came in from the address within the window. */
export function isWelcome(
  context: DetectionContext,
  address: string,
  time: number,
  windowMs: number,
): boolean {
  const last = peek(context.welcomes, address, time);
  return last !== undefined && time - last <= windowMs;
}

export function suspect(context: DetectionContext, key: string, suspicion: Suspicion): void {
  set(context.suspects, key, suspicion.time, suspicion);
}

export function suspicionOf(
  context: DetectionContext,
  key: string,
  time: number,
  windowMs: number,
): Suspicion | undefined {
  const found = peek(context.suspects, key, time);
  return found !== undefined && time - found.time <= windowMs ? found : undefined;
}
