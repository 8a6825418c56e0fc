import { hash } from 'node:crypto';

/** Exact up to this many, then HyperLogLog of 2048 registers: standard error 2.3 %. */
const SPARSE_MAX = 256;
const SLOTS_MIN = 4;
/** Marks a free slot: a fraction, so that the array holds fractions from the start and is never converted. */
const FREE = -0.5;
const BITS = 11;
const REGISTERS = 1 << BITS;
const ALPHA = 0.7213 / (1 + 1.079 / REGISTERS);

/** How many different texts there were, in 2 KiB at most. Plain data. */
export interface Cardinality {
  /** An open-addressed set, at most half full; a set of the language takes four times the room and the time. */
  sparse: number[] | undefined;
  /** How many are in `sparse`. */
  size: number;
  registers: Uint8Array | undefined;
  /** Sum of 2^-register and number of empty registers, kept as registers grow: an estimate costs no pass over them. */
  sum: number;
  empty: number;
}

export function createCardinality(): Cardinality {
  return { sparse: createSlots(SLOTS_MIN), size: 0, registers: undefined, sum: REGISTERS, empty: REGISTERS };
}

/** `value`: an integer of 52 bits, as from `hashOf`. */
export function addHash(all: Cardinality, value: number): void {
  const { sparse, registers } = all;
  if (registers !== undefined) addDense(all, registers, value);
  else if (sparse !== undefined && insert(sparse, value)) {
    all.size++;
    if (all.size > SPARSE_MAX) condense(all, sparse);
    else if (2 * all.size > sparse.length) all.sparse = widen(sparse);
  }
}

export function addAll(all: Cardinality, other: Cardinality): void {
  for (const each of other.sparse ?? []) if (each !== FREE) addHash(all, each);
  if (other.registers === undefined) return;
  const registers = all.registers ?? condense(all, all.sparse ?? []);
  for (let at = 0; at < REGISTERS; at++) raise(all, registers, at, other.registers[at] as number);
}

export function estimate({ registers, size, sum, empty }: Cardinality): number {
  if (registers === undefined) return size;
  const raw = (ALPHA * REGISTERS * REGISTERS) / sum;
  return Math.round(raw <= 2.5 * REGISTERS && empty > 0 ? REGISTERS * Math.log(REGISTERS / empty) : raw);
}

/** 52 bits of a tag of hexadecimal digits, which is the output of a keyed hash; of another text, of its SHA-256. */
export function hashOf(tag: string): number {
  const value = hexOf(tag);
  return value === undefined ? (hexOf(hash('sha256', tag)) as number) : value;
}

const DIGITS = 13;

/** The number that the first thirteen characters write in hexadecimal: in a loop a third of the time of `parseInt`. */
function hexOf(text: string): number | undefined {
  if (text.length < DIGITS) return undefined;
  let value = 0;
  for (let at = 0; at < DIGITS; at++) {
    const code = text.charCodeAt(at);
    const digit = code <= 0x39 ? code - 0x30 : code - 0x61 + 10;
    if (digit < 0 || digit > 15 || (digit < 10 && code > 0x39)) return undefined;
    value = value * 16 + digit;
  }
  return value;
}

function createSlots(count: number): number[] {
  return Array.from({ length: count }, () => FREE);
}

/** False if it was there. */
function insert(slots: number[], value: number): boolean {
  const last = slots.length - 1;
  for (let at = value & last; ; at = (at + 1) & last) {
    const there = slots[at];
    if (there === value) return false;
    if (there !== FREE) continue;
    slots[at] = value;
    return true;
  }
}

function widen(slots: readonly number[]): number[] {
  const wider = createSlots(2 * slots.length);
  for (const each of slots) if (each !== FREE) insert(wider, each);
  return wider;
}

function condense(all: Cardinality, slots: readonly number[]): Uint8Array {
  const registers = new Uint8Array(REGISTERS);
  for (const each of slots) if (each !== FREE) addDense(all, registers, each);
  all.sparse = undefined;
  all.registers = registers;
  return registers;
}

function addDense(all: Cardinality, registers: Uint8Array, value: number): void {
  // Bit operations look at the lowest 32 bits only, and cost less than a remainder.
  const place = value & (REGISTERS - 1);
  // The position of the first one bit in the 41 bits that are left.
  const low = Math.floor(value / REGISTERS) | 0;
  const rank = low === 0 ? 33 : 32 - Math.clz32(low & -low);
  raise(all, registers, place, rank);
}

function raise(all: Cardinality, registers: Uint8Array, place: number, rank: number): void {
  const before = registers[place] as number;
  if (rank <= before) return;
  if (before === 0) all.empty--;
  all.sum += 2 ** -rank - 2 ** -before;
  registers[place] = rank;
}
