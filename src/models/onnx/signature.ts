import type { DataType, TensorSpec } from '../version.ts';
import type { ValueInfo } from './model.ts';

/** TensorProto.DataType → the name in the Open Inference Protocol. Absent: it cannot be served. */
const dataTypes: Readonly<Record<number, DataType>> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
};

const otherTypes: Readonly<Record<number, string>> = {
  0: 'undefined',
  14: 'complex64',
  15: 'complex128',
  16: 'bfloat16',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
};

/** The tensor that `value` declares, or why it cannot be served. */
export function toTensorSpec(value: ValueInfo): TensorSpec | { readonly unsupported: string } {
  const label = quote(value.name);
  if (value.kind !== 'tensor') {
    const hint = value.kind === 'sequence' ? ' (for scikit-learn, export with zipmap=False)' : '';
    return { unsupported: `${label} is of type ${value.kind}; only tensors can be served${hint}` };
  }
  const type = dataTypes[value.elementType];
  if (type === undefined) {
    const name = otherTypes[value.elementType] ?? `number ${value.elementType}`;
    return { unsupported: `${label} has elements of type ${name}, which cannot be served` };
  }
  // An output's rank is known when it has been computed; one open dimension stands for it until then.
  return { name: value.name, type, shape: value.shape ?? [-1] };
}

/** A name from an untrusted file, safe to print. */
export function quote(name: string): string {
  const shown = name.length > 80 ? `${name.slice(0, 80).toWellFormed()}…` : name;
  return JSON.stringify(shown).replace(
    /[\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g,
    escaped,
  );
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
