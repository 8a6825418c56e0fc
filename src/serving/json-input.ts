import { type Problem } from '../kernel/problem.ts';
import type { ModelSignature, TensorSpec } from '../models/version.ts';
import { isElementFault, kindOf, readElements } from './elements.ts';
import { servingProblems } from './problems.ts';
import { elementCount, isOpen, type Tensor } from './tensors.ts';

export function invalidInput(detail: string): Problem {
  return servingProblems.invalid_input(detail);
}

/** A tensor from a JSON value nested as deep as the shape; `shape` may leave sizes open, the value then tells them. */
export function readNested(
  spec: TensorSpec,
  shape: TensorSpec['shape'],
  value: unknown,
  where: string,
): Tensor {
  const sizes: number[] = [];
  const leaves: unknown[] = [];
  const visit = (value: unknown, depth: number): void => {
    if (depth === shape.length) {
      leaves.push(value);
      return;
    }
    if (!Array.isArray(value))
      throw invalidInput(
        `${where} must be nested ${shape.length} deep; at depth ${depth} there is ${kindOf(value)}`,
      );
    const expected = isOpen(shape[depth]) ? sizes[depth] : (shape[depth] as number);
    if (expected !== undefined && value.length !== expected) {
      throw invalidInput(
        `${where} has ${value.length} elements in dimension ${depth}, where ${expected} are expected`,
      );
    }
    sizes[depth] = value.length;
    for (const item of value) visit(item, depth + 1);
  };
  visit(value, 0);
  // Below an empty array nothing tells the sizes.
  for (let depth = 0; depth < shape.length; depth++)
    sizes[depth] ??= isOpen(shape[depth]) ? 0 : (shape[depth] as number);
  return { name: spec.name, type: spec.type, shape: sizes, data: convert(spec, leaves, where) };
}

/** A tensor of a known shape from its elements in row-major order. */
export function readFlat(
  spec: TensorSpec,
  shape: readonly number[],
  values: readonly unknown[],
  where: string,
): Tensor {
  const count = elementCount(shape);
  if (values.length !== count) {
    throw invalidInput(
      `${where} has ${values.length} elements, where the shape [${shape.join(',')}] needs ${count}`,
    );
  }
  return { name: spec.name, type: spec.type, shape, data: convert(spec, values, where) };
}

function convert(spec: TensorSpec, values: readonly unknown[], where: string): Tensor['data'] {
  const read = readElements(spec.type, values);
  if (!isElementFault(read)) return read;
  const element = values.length === 1 ? where : `${where}, element ${read.index},`;
  throw invalidInput(`${element} must be ${read.expects}, not ${read.got}`);
}

/** Throws `serving.invalid_input` unless `names` are exactly the inputs of the model; the detail lists what differs. */
export function requireInputs({ inputs }: ModelSignature, names: readonly string[], where = ''): void {
  const missing = inputs.filter(({ name }) => !names.includes(name)).map(({ name }) => `"${name}"`);
  const extra = names
    .filter((name) => !inputs.some((spec) => spec.name === name))
    .map((name) => `"${shorten(name)}"`);
  const repeated = names
    .filter((name, index) => names.indexOf(name) !== index)
    .map((name) => `"${shorten(name)}"`);
  const faults = [
    missing.length > 0 && `missing ${missing.join(', ')}`,
    extra.length > 0 && `unknown ${extra.slice(0, 8).join(', ')}`,
    repeated.length > 0 && `repeated ${repeated.slice(0, 8).join(', ')}`,
  ].filter((fault) => fault !== false);
  if (faults.length === 0) return;
  const known = inputs.map(({ name, type }) => `"${name}" (${type})`).join(', ');
  throw invalidInput(`${where}inputs: ${faults.join('; ')}; the model takes ${known}`);
}

function shorten(name: string): string {
  return name.length > 64 ? `${name.slice(0, 64)}…` : name;
}

/** Ranks and fixed sizes as the signature has them, one size per symbol, and at least one row. */
export function requireShapes({ inputs }: ModelSignature, tensors: readonly Tensor[], where = ''): void {
  const symbols = new Map<string, { size: number; name: string }>();
  for (const spec of inputs) {
    const shape = tensors.find(({ name }) => name === spec.name)?.shape ?? [];
    const fits =
      shape.length === spec.shape.length &&
      shape.every((size, index) => isOpen(spec.shape[index]) || size === spec.shape[index]);
    if (!fits) {
      throw invalidInput(
        `${where}input "${spec.name}" has the shape [${shape.join(',')}], where [${spec.shape.join(',')}] is expected`,
      );
    }
    if (shape[0] === 0) throw invalidInput(`${where}input "${spec.name}" is empty`);
    for (const [index, symbol] of spec.shape.entries()) {
      if (typeof symbol !== 'string' || symbol === '') continue;
      const size = shape[index] as number;
      const seen = symbols.get(symbol);
      if (seen !== undefined && seen.size !== size) {
        throw invalidInput(
          `${where}inputs "${seen.name}" and "${spec.name}" differ in the dimension ${symbol}: ${seen.size} and ${size}`,
        );
      }
      symbols.set(symbol, { size, name: spec.name });
    }
  }
}
