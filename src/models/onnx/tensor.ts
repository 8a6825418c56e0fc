import { tensorShape } from './shapes.ts';
import { type Budget, readFields, type Span } from './wire.ts';

/** Names of tensors with a finding, over the whole file. */
export interface TensorFacts {
  /** Their bytes lie outside the file. */
  readonly external: Set<string>;
  /** Their shape does not fit their bytes. */
  readonly unsound: Set<string>;
}

interface Reading {
  readonly budget: Budget;
  readonly facts: TensorFacts;
  readonly nameBytesMax: number;
}

/** Reads all of a TensorProto but its numbers; returns its name. */
export function readTensor(span: Span, { budget, facts, nameBytesMax }: Reading): string {
  let name = '';
  let elements = 1;
  let type = 0;
  let rawBytes: number | undefined;
  let external = false;
  let segmented = false;
  readFields(span, tensorShape, budget, (field) => {
    if (field.number === 1) {
      field.ints((size) => {
        elements = size < 0 ? Number.NaN : elements * size;
      });
    } else if (field.number === 2) type = field.int;
    else if (field.number === 3) segmented = true;
    else if (field.number === 8) name = field.text(nameBytesMax);
    else if (field.number === 9) {
      const raw = field.span();
      rawBytes = raw.end - raw.start;
    } else if (field.number === 13 || (field.number === 14 && field.int !== 0)) external = true;
  });
  if (external) facts.external.add(name);
  else if (segmented || !fits({ elements, type, rawBytes, bytes: span.end - span.start }))
    facts.unsound.add(name);
  return name;
}

interface Size {
  readonly elements: number;
  readonly type: number;
  /** Undefined where the numbers stand in one of the typed fields. */
  readonly rawBytes: number | undefined;
  /** Of the whole message. */
  readonly bytes: number;
}

/** Bits of one element, by TensorProto.DataType. 8 is STRING, which has no raw form. */
const elementBits: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
};

function fits({ elements, type, rawBytes, bytes }: Size): boolean {
  if (!Number.isSafeInteger(elements)) return false;
  if (rawBytes === undefined) {
    // Even four-bit numbers, two to a varint byte, need half a byte each.
    return elements <= bytes * 2;
  }
  const bits = elementBits[type];
  return bits !== undefined && rawBytes === Math.ceil((elements * bits) / 8);
}
