import type { FileWindow } from './file-window.ts';

/**
 * A reader of the protobuf wire format for bytes that nobody vouches for. It is stricter than protobuf itself: whatever
 * two parsers could read in two ways (overlong numbers, repeated singular fields, groups, unknown fields) is refused.
 */

/** Part of a file that holds one message. Spans are read in the order in which they stand, each at most once. */
export interface Span {
  readonly file: FileWindow;
  readonly start: number;
  readonly end: number;
}

/** `*` may repeat; a repeated number may also be packed. `opaque` is length-delimited and not read further. */
export type FieldKind =
  | 'int'
  | 'int*'
  | 'float'
  | 'float*'
  | 'double*'
  | 'text'
  | 'text*'
  | 'message'
  | 'message*'
  | 'opaque*';

/** What a message may hold, by field number. */
export interface MessageShape {
  readonly name: string;
  readonly fields: Readonly<Record<number, FieldKind>>;
}

/** Shared by all messages of one file; every field visited takes one. */
export interface Budget {
  fields: number;
}

/** The bytes are refused. `rule` is the finding's stable name; `offset` counts bytes from the start of the file. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly rule: string;
  readonly offset: number;
  constructor(rule: string, message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.rule = rule;
    this.offset = offset;
  }
}

/** The field under the cursor. It is reused: take what is needed before `visit` returns. */
export interface Field {
  readonly number: number;
  /** The value of a varint as a signed 64-bit number; beyond 2^53 it is inexact. 0 for other wire types. */
  readonly int: number;
  /** The contents of a length-delimited field. */
  span(): Span;
  /** UTF-8, at most `bytesMax` bytes. */
  text(bytesMax: number): string;
  /** Calls `visit` for the number, or for each of a packed list. */
  ints(visit: (value: number) => void): void;
}

/** Visits the fields of one message in order. Throws WireError at the first byte that breaks the format or `shape`. */
export function readFields(
  span: Span,
  shape: MessageShape,
  budget: Budget,
  visit: (field: Field) => void,
): void {
  const cursor = new Cursor(span, shape, budget);
  while (cursor.next()) visit(cursor);
}

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

const wireTypes: Readonly<Record<FieldKind, number>> = {
  int: VARINT,
  'int*': VARINT,
  float: FIXED32,
  'float*': FIXED32,
  'double*': FIXED64,
  text: DELIMITED,
  'text*': DELIMITED,
  message: DELIMITED,
  'message*': DELIMITED,
  'opaque*': DELIMITED,
};

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

class Cursor implements Field {
  number = 0;
  int = 0;
  readonly #file: FileWindow;
  readonly #end: number;
  readonly #shape: MessageShape;
  readonly #budget: Budget;
  /** Field numbers seen, one bit each: every number in a shape is below 32. */
  #seen = 0;
  #offset: number;
  #fieldStart = 0;
  #valueStart = 0;
  #delimited = false;

  constructor({ file, start, end }: Span, shape: MessageShape, budget: Budget) {
    this.#file = file;
    this.#offset = start;
    this.#end = end;
    this.#shape = shape;
    this.#budget = budget;
  }

  next(): boolean {
    if (this.#offset >= this.#end) return false;
    this.#fieldStart = this.#offset;
    if (--this.#budget.fields < 0) throw this.#refuse('too_large', 'more fields than the budget allows');
    const tag = this.#varint();
    const wire = tag % 8;
    this.number = (tag - wire) / 8;
    this.#checkShape(wire);
    this.int = 0;
    this.#delimited = false;
    if (wire === VARINT) {
      this.int = this.#varint();
      this.#valueStart = this.#offset;
      return true;
    }
    const length = wire === DELIMITED ? this.#varint() : wire === FIXED32 ? 4 : 8;
    if (length < 0 || length > this.#end - this.#offset) {
      throw this.#refuse(
        'malformed',
        `field ${this.number} of ${this.#shape.name} runs past the end of its message`,
      );
    }
    this.#delimited = wire === DELIMITED;
    this.#valueStart = this.#offset;
    this.#offset += length;
    return true;
  }

  span(): Span {
    return { file: this.#file, start: this.#valueStart, end: this.#offset };
  }

  text(bytesMax: number): string {
    if (this.#offset - this.#valueStart > bytesMax) {
      throw this.#refuse(
        'too_large',
        `field ${this.number} of ${this.#shape.name} is longer than ${bytesMax} bytes`,
      );
    }
    const bytes = this.#file.slice(this.#valueStart, this.#offset);
    if (bytes === undefined) throw this.#refuse('malformed', 'the file is cut off');
    try {
      return utf8.decode(bytes);
    } catch {
      throw this.#refuse('malformed', `field ${this.number} of ${this.#shape.name} is not UTF-8`);
    }
  }

  ints(visit: (value: number) => void): void {
    if (!this.#delimited) {
      visit(this.int);
      return;
    }
    const end = this.#offset;
    this.#offset = this.#valueStart;
    while (this.#offset < end) {
      if (--this.#budget.fields < 0) throw this.#refuse('too_large', 'more numbers than the budget allows');
      visit(this.#varint(end));
    }
  }

  #checkShape(wire: number): void {
    const kind = this.#shape.fields[this.number];
    if (kind === undefined) {
      throw this.#refuse('unknown_field', `field ${this.number} of ${this.#shape.name} is not known`);
    }
    const repeated = kind.endsWith('*');
    const packable = repeated && wireTypes[kind] !== DELIMITED;
    if (wire !== wireTypes[kind] && !(packable && wire === DELIMITED)) {
      throw this.#refuse('malformed', `field ${this.number} of ${this.#shape.name} has wire type ${wire}`);
    }
    const bit = 1 << this.number;
    if (!repeated && (this.#seen & bit) !== 0) {
      throw this.#refuse('malformed', `field ${this.number} of ${this.#shape.name} stands twice`);
    }
    this.#seen |= bit;
  }

  #varint(end = this.#end): number {
    let value = 0;
    let scale = 1;
    // Ten bytes carry bit 63, the sign: kept in whole numbers too, for near 2^64 a double cannot tell -1 from 0.
    let low = 0n;
    for (let length = 1; length <= 10; length++) {
      const byte = this.#offset < end ? this.#file.at(this.#offset) : undefined;
      if (byte === undefined) throw this.#refuse('malformed', 'a number is cut off');
      this.#offset++;
      value += (byte & 127) * scale;
      scale *= 128;
      if (byte < 128) {
        const overlong = byte === 0 && length > 1;
        if (overlong || (length === 10 && byte > 1))
          throw this.#refuse('malformed', 'a number is not in its shortest form');
        return length === 10 ? Number(BigInt.asIntN(64, (BigInt(byte) << 63n) | low)) : value;
      }
      if (length > 7) low |= BigInt(byte & 127) << BigInt(7 * (length - 1));
      else if (length === 7) low = BigInt(value);
    }
    throw this.#refuse('malformed', 'a number is longer than ten bytes');
  }

  #refuse(rule: string, message: string): WireError {
    return new WireError(rule, message, this.#fieldStart);
  }
}
