/** The bytes of one file, given from front to back. */
export interface ByteSource {
  /** Size of the file. */
  readonly length: number;
  /** The bytes from `offset` on, at least one, as many as are at hand; none if the file is shorter. Offsets only grow. */
  read(offset: number): Uint8Array;
}

/** The piece of a file that is being read: memory holds this much of it, whatever its size. */
export class FileWindow {
  readonly length: number;
  readonly #source: ByteSource;
  #bytes: Uint8Array;
  #start = 0;

  constructor(source: ByteSource) {
    this.#source = source;
    this.length = source.length;
    this.#bytes = new Uint8Array();
  }

  /** Undefined beyond the end. An offset before the piece at hand is a mistake of the caller. */
  at(offset: number): number | undefined {
    const byte = this.#bytes[offset - this.#start];
    return byte ?? this.#advance(offset)[0];
  }

  /** A view while it lies in one piece, else a copy. Undefined if the file ends before `end`. */
  slice(start: number, end: number): Uint8Array | undefined {
    if (end <= start) return new Uint8Array();
    if (this.at(start) === undefined) return undefined;
    const first = this.#bytes.subarray(start - this.#start, end - this.#start);
    if (first.length === end - start) return first;
    const whole = new Uint8Array(end - start);
    whole.set(first);
    for (let filled = first.length; filled < whole.length; ) {
      const piece = this.#advance(start + filled).subarray(0, whole.length - filled);
      if (piece.length === 0) return undefined;
      whole.set(piece, filled);
      filled += piece.length;
    }
    return whole;
  }

  #advance(offset: number): Uint8Array {
    if (offset >= this.length) return this.#bytes.subarray(0, 0);
    if (offset < this.#start) throw new RangeError('a file is read from front to back');
    this.#bytes = this.#source.read(offset);
    this.#start = offset;
    return this.#bytes;
  }
}

/** A file that lies in memory. */
export function bytesSource(bytes: Uint8Array): ByteSource {
  return { length: bytes.length, read: (offset) => bytes.subarray(offset) };
}

/** The first `size` bytes of a source, and a source that still gives the whole. */
export function splitHead(source: ByteSource, size: number): { head: Uint8Array; whole: ByteSource } {
  const { length } = source;
  const head = new FileWindow(source).slice(0, Math.min(size, length)) ?? new Uint8Array();
  return {
    head,
    whole: {
      length,
      read: (offset) => (offset < head.length ? head.subarray(offset) : source.read(offset)),
    },
  };
}
