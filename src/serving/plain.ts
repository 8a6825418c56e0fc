import type { ModelSignature, TensorSpec } from '../models/version.ts';
import { kindOf } from './elements.ts';
import { invalidInput, readNested, requireInputs, requireShapes } from './json-input.ts';
import { nestedText } from './json-output.ts';
import { hasRows, isOpen, type Tensor } from './tensors.ts';

/**
 * The plain protocol: `{"value": 3}` is one row, each input without its batch dimension; `{"instances": [row, …]}` is
 * several. A model whose inputs have no batch dimension takes each input whole.
 */
export interface PlainRequest {
  /** The inputs of each row, as a batch of one. */
  readonly rows: readonly (readonly Tensor[])[];
  /** It was asked with `instances`, and is answered with `predictions`. */
  readonly many: boolean;
}

/** Throws `serving.invalid_input`. */
export function parsePlain(
  signature: ModelSignature,
  body: unknown,
  { instancesMax }: { readonly instancesMax: number },
): PlainRequest {
  const object = asObject(body, 'the body');
  const hasInstances =
    Object.hasOwn(object, 'instances') && !signature.inputs.some(({ name }) => name === 'instances');
  if (!hasInstances) return { rows: [readRow(signature, object, '')], many: false };
  const { instances, ...others } = object;
  const [other] = Object.keys(others);
  if (other !== undefined) throw invalidInput('"instances" stands alone: the inputs belong into its rows');
  if (!Array.isArray(instances)) throw invalidInput(`"instances" must be an array, not ${kindOf(instances)}`);
  if (instances.length === 0) throw invalidInput('"instances" is empty');
  if (instances.length > instancesMax) {
    throw invalidInput(`"instances" has ${instances.length} rows, where ${instancesMax} are the most`);
  }
  const rows = instances.map((row, index) =>
    readRow(signature, asObject(row, `instance ${index}`), `instance ${index}: `),
  );
  return { rows, many: true };
}

function asObject(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw invalidInput(`${what} must be a JSON object of inputs by name, not ${kindOf(value)}`);
}

function readRow(
  signature: ModelSignature,
  row: Readonly<Record<string, unknown>>,
  where: string,
): readonly Tensor[] {
  requireInputs(signature, Object.keys(row), where);
  const inRows = hasRows(signature);
  const tensors = signature.inputs.map((spec) => {
    const at = `${where}input "${spec.name}"`;
    if (!inRows) return readNested(spec, spec.shape, row[spec.name], at);
    const shape = spec.shape.slice(1);
    // `{"value": 3}` for a column of one, as it is answered.
    const short = !Array.isArray(row[spec.name]) && shape.every((size) => size === 1);
    const tensor = readNested(spec, short ? [] : shape, row[spec.name], at);
    return { ...tensor, shape: [1, ...(short ? shape.map(() => 1) : tensor.shape)] };
  });
  requireShapes(signature, tensors, where);
  return tensors;
}

/** The answer as JSON text: one object by output name, or `{"predictions": […]}`. */
export function formatPlain(
  signature: ModelSignature,
  rows: readonly (readonly Tensor[])[],
  { many }: Pick<PlainRequest, 'many'>,
): string {
  const inRows = hasRows(signature);
  const texts = rows.map((outputs) => {
    const members = outputs.map((output) => {
      const spec = signature.outputs.find(({ name }) => name === output.name);
      return `${JSON.stringify(output.name)}:${nestedText(output, rowShape(output, spec, inRows))}`;
    });
    return `{${members.join(',')}}`;
  });
  return many ? `{"predictions":[${texts.join(',')}]}` : (texts[0] ?? '{}');
}

/**
 * Without the batch dimension, and without those that the model fixes at 1. An open dimension stays even where its size
 * is 1 this time: a caller must not get a list on one day and a scalar on the next.
 */
function rowShape({ shape }: Tensor, spec: TensorSpec | undefined, inRows: boolean): readonly number[] {
  if (!inRows || spec === undefined || spec.shape.length !== shape.length) return shape;
  const isBatch = shape[0] === 1 && (isOpen(spec.shape[0]) || spec.shape[0] === 1);
  return shape.filter((_, index) => (index === 0 ? !isBatch : spec.shape[index] !== 1));
}
