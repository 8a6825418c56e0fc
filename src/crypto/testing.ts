/** Byte-stream helpers for the tests of this room. */

/** Everything a stream yields, as one value. */
export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** What a stream yields before it ends or fails, and the failure. */
export async function drain(stream: AsyncIterable<Uint8Array>): Promise<{ bytes: Buffer; error?: unknown }> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of stream) pieces.push(piece);
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error };
  }
  return { bytes: Buffer.concat(pieces) };
}

/** `bytes` as a stream of pieces of `size`; without `size`, as one piece. */
export async function* streamOf(
  bytes: Uint8Array,
  size = Math.max(bytes.length, 1),
): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}
