import type { ModelSignature, TensorSpec } from '../models/version.ts';
import type { SessionValue } from './host-wire.ts';
import { elementCount, isOpen, type Tensor } from './tensors.ts';

/**
 * What differs between the registered signature and the loaded session, in one sentence; undefined if nothing does. The
 * runtime may know a dimension that the artifact leaves open, and the rank of an output that the artifact does not tell.
 */
export function signatureDifference(
  signature: ModelSignature,
  session: { readonly inputs: readonly SessionValue[]; readonly outputs: readonly SessionValue[] },
): string | undefined {
  return (
    difference('input', signature.inputs, session.inputs) ??
    difference('output', signature.outputs, session.outputs)
  );
}

function difference(
  kind: 'input' | 'output',
  registered: readonly TensorSpec[],
  loaded: readonly SessionValue[],
): string | undefined {
  const tensors = kind === 'output' ? loaded.filter(({ type }) => type !== undefined) : loaded;
  const unregistered = tensors.find(({ name }) => !registered.some((spec) => spec.name === name));
  if (unregistered) return `${kind} "${unregistered.name}" is not registered`;
  for (const spec of registered) {
    const value = tensors.find(({ name }) => name === spec.name);
    if (!value) return `${kind} "${spec.name}" is missing`;
    if (value.type !== spec.type)
      return `${kind} "${spec.name}" is ${value.type}, registered as ${spec.type}`;
    if (kind === 'output' && (value.shape.length === 0 || spec.shape.length === 0)) continue;
    if (!agree(spec.shape, value.shape)) {
      return `${kind} "${spec.name}" has the shape [${value.shape.join(',')}], registered as [${spec.shape.join(',')}]`;
    }
  }
  return undefined;
}

function agree(one: TensorSpec['shape'], other: TensorSpec['shape']): boolean {
  return (
    one.length === other.length &&
    one.every((size, index) => isOpen(size) || isOpen(other[index]) || size === other[index])
  );
}

/** Whether a process gave what it was asked for: it runs the model's code, so its word is not taken for granted. */
export function areOutputs({ outputs: specs }: ModelSignature, outputs: readonly Tensor[]): boolean {
  return (
    outputs.length === specs.length &&
    outputs.every(
      ({ name, type, shape, data }) =>
        specs.some((spec) => spec.name === name && spec.type === type) &&
        shape.every((size) => Number.isSafeInteger(size) && size >= 0) &&
        elementCount(shape) === data.length &&
        ArrayBuffer.isView(data) === (type !== 'BYTES'),
    )
  );
}
