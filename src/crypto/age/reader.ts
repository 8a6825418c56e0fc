/** Reads the front of a stream in measured parts, then hands on the rest. */
export interface Reader {
  /** The next piece as the source gives it, never empty; undefined at the end. */
  next(): Promise<Uint8Array | undefined>;
  /** Puts bytes back in front. */
  unread(bytes: Uint8Array): void;
  /** The next `count` bytes; fewer only at the end of the source. */
  take(count: number): Promise<Uint8Array>;
  /** Everything not yet read. Ending it early ends the source. */
  rest(): AsyncGenerator<Uint8Array>;
  /** Tells the source that no more will be read. */
  close(): Promise<void>;
}

export function createReader(source: AsyncIterable<Uint8Array>): Reader {
  const iterator = source[Symbol.asyncIterator]();
  const front: Uint8Array[] = [];
  let ended = false;
  const reader: Reader = {
    async next() {
      const held = front.pop();
      if (held) return held;
      while (!ended) {
        const step = await iterator.next();
        if (step.done === true) ended = true;
        else if (step.value.length > 0) return step.value;
      }
      return undefined;
    },
    unread(bytes) {
      if (bytes.length > 0) front.push(bytes);
    },
    async take(count) {
      const taken = Buffer.alloc(count);
      let length = 0;
      while (length < count) {
        const piece = await reader.next();
        if (!piece) break;
        const part = piece.subarray(0, count - length);
        taken.set(part, length);
        length += part.length;
        reader.unread(piece.subarray(part.length));
      }
      return taken.subarray(0, length);
    },
    async *rest() {
      try {
        for (let piece = await reader.next(); piece; piece = await reader.next()) yield piece;
      } finally {
        await reader.close();
      }
    },
    async close() {
      if (ended) return;
      ended = true;
      await iterator.return?.();
    },
  };
  return reader;
}
