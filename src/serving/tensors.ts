import type { DataType, ModelSignature, TensorSpec } from '../models/version.ts';

/** Elements in row-major order. FP16 as its 16 bits, BOOL as 0 and 1, BYTES as text. */
export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

export interface Tensor {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

export function byteLength(tensor: Tensor): number {
  if (ArrayBuffer.isView(tensor.data)) return tensor.data.byteLength;
  return tensor.data.reduce((sum, text) => sum + text.length, 0);
}

/** The dimension is not fixed by the model. */
export function isOpen(size: number | string | undefined): boolean {
  return typeof size === 'string' || size === -1;
}

/** Whether one input of a request can be written without its first dimension, as a row of a table. */
export function hasRows({ inputs }: ModelSignature): boolean {
  return inputs.length > 0 && inputs.every(({ shape }) => isOpen(shape[0]) || shape[0] === 1);
}

const BATCH_NAME = /^(?:n|b|bs|none|batch.*|.*[_-]batch(?:_size)?)$/i;
/** How exporters name a dimension that has no name. */
const NO_NAME = /^(?:|\?|unk__\d+)$/;

/**
 * Whether rows of separate requests may be run as one. The first dimension of every input and output must be the same
 * open one, and look like a batch: a model over one sequence has an open first dimension too, and would mix the
 * callers' data. So a name such as `L` or `sequence` is not taken, and a nameless one only from inputs of two
 * dimensions and more.
 */
export function isBatchable({ inputs, outputs }: ModelSignature): boolean {
  const all = [...inputs, ...outputs];
  if (inputs.length === 0 || !all.every(({ shape }) => isOpen(shape[0]))) return false;
  const names = new Set(all.map(firstName).filter((name) => name !== undefined));
  if (names.size > 1) return false;
  const [name] = names;
  if (name !== undefined) return BATCH_NAME.test(name);
  return inputs.every(({ shape }) => shape.length >= 2);
}

function firstName({ shape: [first] }: TensorSpec): string | undefined {
  return typeof first === 'string' && !NO_NAME.test(first) ? first : undefined;
}

/** Tensors with equal keys can be concatenated on their first dimension. */
export function trailingShapes(tensors: readonly Tensor[]): string {
  return tensors.map(({ shape }) => shape.slice(1).join('x')).join(',');
}

/** One set of tensors with the rows of all `parts` in order; the parts have equal names, types and trailing shapes. */
export function concatRows(parts: readonly (readonly Tensor[])[]): readonly Tensor[] {
  const [first = []] = parts;
  return first.map((tensor, index) => {
    const pieces = parts.map((part) => part[index] as Tensor);
    const rows = pieces.reduce((sum, piece) => sum + (piece.shape[0] ?? 0), 0);
    return { ...tensor, shape: [rows, ...tensor.shape.slice(1)], data: join(pieces.map(({ data }) => data)) };
  });
}

/** The inverse: `rows[i]` rows for part i, or undefined if the tensors do not have that many rows. */
export function splitRows(
  tensors: readonly Tensor[],
  rows: readonly number[],
): readonly (readonly Tensor[])[] | undefined {
  const total = rows.reduce((sum, count) => sum + count, 0);
  if (tensors.some(({ shape }) => shape[0] !== total)) return undefined;
  let start = 0;
  return rows.map((count) => {
    const from = start;
    start += count;
    return tensors.map((tensor) => {
      const shape = [count, ...tensor.shape.slice(1)];
      const perRow = elementCount(tensor.shape.slice(1));
      return { ...tensor, shape, data: slice(tensor.data, from * perRow, (from + count) * perRow) };
    });
  });
}

function slice(data: TensorData, from: number, to: number): TensorData {
  return ArrayBuffer.isView(data) ? data.subarray(from, to) : data.slice(from, to);
}

function join(parts: readonly TensorData[]): TensorData {
  const [first = []] = parts;
  if (!ArrayBuffer.isView(first)) return (parts as readonly (readonly string[])[]).flat();
  const whole = allocateLike(
    first,
    parts.reduce((sum, part) => sum + part.length, 0),
  );
  let at = 0;
  for (const part of parts) {
    // All parts have one element type, which the union cannot say.
    (whole as Uint8Array).set(part as Uint8Array, at);
    at += part.length;
  }
  return whole;
}

type NumericData = Exclude<TensorData, readonly string[]>;

function allocateLike(data: NumericData, count: number): NumericData {
  return new (data.constructor as new (count: number) => NumericData)(count);
}
