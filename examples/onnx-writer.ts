/** Writes ONNX models: the few messages of onnx.proto that the examples need, in protobuf wire format. */

export type Attribute =
  | { readonly int: number | bigint }
  | { readonly float: number }
  | { readonly string: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly strings: readonly string[] }
  | { readonly tensor: Uint8Array }
  | { readonly graph: Uint8Array };

export interface NodeOptions {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
  readonly domain?: string;
}

export interface GraphOptions {
  readonly name: string;
  readonly inputs: readonly Uint8Array[];
  readonly outputs: readonly Uint8Array[];
  readonly nodes: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
}

export interface ModelOptions {
  readonly graph: Uint8Array;
  /** Operator set version by domain; '' is the standard one. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata?: Readonly<Record<string, string>>;
  /** Further fields of ModelProto, already encoded. */
  readonly extra?: Uint8Array;
}

/** TensorProto.DataType. */
export const elementTypes = { FLOAT: 1, INT64: 7, STRING: 8, BOOL: 9 } as const;
export type ElementType = (typeof elementTypes)[keyof typeof elementTypes];

/** ModelProto, IR version 9. */
export function model({ graph, opsets, metadata = {}, extra = new Uint8Array() }: ModelOptions): Uint8Array {
  return concat([
    int(1, 9),
    text(2, 'modelkeep-examples'),
    message(7, graph),
    ...Object.entries(opsets).map(([domain, version]) =>
      message(8, concat([text(1, domain), int(2, version)])),
    ),
    ...Object.entries(metadata).map(([key, value]) => message(14, concat([text(1, key), text(2, value)]))),
    extra,
  ]);
}

export function graph({ name, inputs, outputs, nodes, initializers = [] }: GraphOptions): Uint8Array {
  return concat([
    ...nodes.map((bytes) => message(1, bytes)),
    text(2, name),
    ...initializers.map((bytes) => message(5, bytes)),
    ...inputs.map((bytes) => message(11, bytes)),
    ...outputs.map((bytes) => message(12, bytes)),
  ]);
}

export function node(
  operator: string,
  { inputs, outputs, attributes = {}, domain }: NodeOptions,
): Uint8Array {
  return concat([
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(4, operator),
    ...Object.entries(attributes).map(([name, value]) => message(5, attribute(name, value))),
    ...(domain === undefined ? [] : [text(7, domain)]),
  ]);
}

/** ValueInfoProto of a tensor; a dimension is its size or its symbol. */
export function value(name: string, type: ElementType, shape: readonly (number | string)[]): Uint8Array {
  const dimensions = shape.map((size) => message(1, typeof size === 'number' ? int(1, size) : text(2, size)));
  return concat([
    text(1, name),
    message(2, message(1, concat([int(1, type), message(2, concat(dimensions))]))),
  ]);
}

export function floats(name: string, shape: readonly number[], values: Iterable<number>): Uint8Array {
  const numbers = Float32Array.from(values);
  const raw = new Uint8Array(numbers.length * 4);
  const view = new DataView(raw.buffer);
  numbers.forEach((number, index) => view.setFloat32(index * 4, number, true));
  return tensor(name, elementTypes.FLOAT, shape, message(9, raw));
}

export function int64s(
  name: string,
  shape: readonly number[],
  values: Iterable<number | bigint>,
): Uint8Array {
  const numbers = [...values];
  const raw = new Uint8Array(numbers.length * 8);
  const view = new DataView(raw.buffer);
  numbers.forEach((number, index) => view.setBigInt64(index * 8, BigInt(number), true));
  return tensor(name, elementTypes.INT64, shape, message(9, raw));
}

export function bools(name: string, shape: readonly number[], values: readonly boolean[]): Uint8Array {
  return tensor(name, elementTypes.BOOL, shape, message(9, Uint8Array.from(values, Number)));
}

/** TensorProto with its data given as encoded fields. */
export function tensor(
  name: string,
  type: ElementType,
  shape: readonly number[],
  data: Uint8Array,
): Uint8Array {
  return concat([...shape.map((size) => int(1, size)), int(2, type), text(8, name), data]);
}

function attribute(name: string, value: Attribute): Uint8Array {
  const [type, fields] = attributeFields(value);
  return concat([text(1, name), ...fields, int(20, type)]);
}

function attributeFields(value: Attribute): [type: number, fields: readonly Uint8Array[]] {
  if ('float' in value) return [1, [float(2, value.float)]];
  if ('int' in value) return [2, [int(3, value.int)]];
  if ('string' in value) return [3, [text(4, value.string)]];
  if ('tensor' in value) return [4, [message(5, value.tensor)]];
  if ('graph' in value) return [5, [message(6, value.graph)]];
  if ('floats' in value) return [6, value.floats.map((number) => float(7, number))];
  if ('ints' in value) return [7, value.ints.map((number) => int(8, number))];
  return [8, value.strings.map((string) => text(9, string))];
}

/** Field `number` of wire type 0. Negative values take ten bytes, as protobuf's int64 does. */
export function int(number: number, value: number | bigint): Uint8Array {
  return concat([varint(number * 8), varint(value)]);
}

/** Field `number` of wire type 2. */
export function message(number: number, bytes: Uint8Array): Uint8Array {
  return concat([varint(number * 8 + 2), varint(bytes.length), bytes]);
}

export function text(number: number, value: string): Uint8Array {
  return message(number, Buffer.from(value));
}

function float(number: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return concat([varint(number * 8 + 5), bytes]);
}

export function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  do {
    const more = rest > 127n;
    bytes.push(Number(rest & 127n) | (more ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}
