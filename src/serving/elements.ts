import type { DataType } from '../models/version.ts';
import type { TensorData } from './tensors.ts';

/**
 * How one element type is read from JSON and written to it. INT64 and UINT64 are taken as numbers up to 2^53 - 1, and as
 * decimal strings beyond; they are written with all their digits, which JSON allows and a reader limited to doubles rounds.
 */
interface ElementType {
  /** What a reader must send, for the message. */
  readonly expects: string;
  readonly allocate: (count: number) => Writable;
  /** The element, or undefined if `value` is none of this type. */
  readonly parse: (value: unknown) => Element | undefined;
}

type Element = number | bigint | string;
type Writable = Exclude<TensorData, readonly string[]> | string[];

// TypeScript's es2024 library does not know it; every Node.js that the package accepts does.
const HalfArray = (globalThis as unknown as { readonly Float16Array: HalfArrayConstructor }).Float16Array;
type HalfArrayConstructor = new (
  buffer: ArrayBufferLike,
  offset: number,
  length: number,
) => ArrayLike<number> & {
  [index: number]: number;
};

/** The largest number that still rounds to a finite half is just below this. */
const HALF_LIMIT = 65_520;
const DECIMAL = /^-?(?:0|[1-9]\d{0,19})$/;

const TYPES: Readonly<Record<DataType, ElementType>> = {
  BOOL: {
    expects: 'true or false',
    allocate: (count) => new Uint8Array(count),
    parse: (value) => (typeof value === 'boolean' ? Number(value) : undefined),
  },
  UINT8: integer(0, 255, (count) => new Uint8Array(count)),
  UINT16: integer(0, 65_535, (count) => new Uint16Array(count)),
  UINT32: integer(0, 4_294_967_295, (count) => new Uint32Array(count)),
  UINT64: longInteger(0n, 2n ** 64n - 1n, (count) => new BigUint64Array(count)),
  INT8: integer(-128, 127, (count) => new Int8Array(count)),
  INT16: integer(-32_768, 32_767, (count) => new Int16Array(count)),
  INT32: integer(-2_147_483_648, 2_147_483_647, (count) => new Int32Array(count)),
  INT64: longInteger(-(2n ** 63n), 2n ** 63n - 1n, (count) => new BigInt64Array(count)),
  FP16: finite(
    'a number within the range of FP16',
    (value) => Math.abs(value) < HALF_LIMIT,
    (count) => new Uint16Array(count),
  ),
  FP32: finite(
    'a number within the range of FP32',
    (value) => Number.isFinite(Math.fround(value)),
    (count) => new Float32Array(count),
  ),
  FP64: finite('a finite number', Number.isFinite, (count) => new Float64Array(count)),
  BYTES: {
    expects: 'a string',
    allocate: (count) => Array.from({ length: count }, () => ''),
    parse: (value) => (typeof value === 'string' && value.isWellFormed() ? value : undefined),
  },
};

/** Where in a list of JSON values an element was not of the type. */
export interface ElementFault {
  readonly index: number;
  readonly expects: string;
  readonly got: string;
}

/** `values` as elements of `type`, or the first that is none. */
export function readElements(type: DataType, values: readonly unknown[]): TensorData | ElementFault {
  const { allocate, parse, expects } = TYPES[type];
  const data = allocate(values.length);
  const target = (type === 'FP16' ? halves(data as Uint16Array) : data) as Element[];
  for (let index = 0; index < values.length; index++) {
    const element = parse(values[index]);
    if (element === undefined) return { index, expects, got: kindOf(values[index]) };
    target[index] = element;
  }
  return data;
}

export function isElementFault(read: TensorData | ElementFault): read is ElementFault {
  return 'expects' in read;
}

/** The JSON text of each element, or undefined if one is NaN or an infinity. */
export function writeElements(type: DataType, data: TensorData): readonly string[] | undefined {
  if (type === 'BYTES') return Array.from(data as readonly string[], (text) => JSON.stringify(text));
  if (type === 'BOOL') return Array.from(data as Uint8Array, (bit) => (bit === 0 ? 'false' : 'true'));
  const values = type === 'FP16' ? halves(data as Uint16Array) : (data as ArrayLike<number | bigint>);
  if ((type === 'FP16' || type === 'FP32' || type === 'FP64') && !Array.from(values).every(Number.isFinite)) {
    return undefined;
  }
  return Array.from(values, String);
}

function halves(bits: Uint16Array): ArrayLike<number> {
  return new HalfArray(bits.buffer, bits.byteOffset, bits.length);
}

function integer(min: number, max: number, allocate: (count: number) => Writable): ElementType {
  return {
    expects: `an integer from ${min} to ${max}`,
    allocate,
    parse: (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max
        ? value
        : undefined,
  };
}

function longInteger(min: bigint, max: bigint, allocate: (count: number) => Writable): ElementType {
  return {
    expects: `an integer from ${min} to ${max}, as a string where it is beyond 2^53 - 1`,
    allocate,
    parse(value) {
      const exact = Number.isSafeInteger(value) || (typeof value === 'string' && DECIMAL.test(value));
      if (!exact) return undefined;
      const element = BigInt(value as number | string);
      return element >= min && element <= max ? element : undefined;
    },
  };
}

function finite(
  expects: string,
  fits: (value: number) => boolean,
  allocate: (count: number) => Writable,
): ElementType {
  return {
    expects,
    allocate,
    parse: (value) => (typeof value === 'number' && fits(value) ? value : undefined),
  };
}

/** The kind of a JSON value, never the value: a message must not repeat an input. */
export function kindOf(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'number' && Number.isInteger(value)) return 'an integer beyond the range';
  return `a ${typeof value}`;
}
