/** The binary encoding of SSH (RFC 4251, section 5), as key files use it. */

export interface WireReader {
  /** The next `string`; undefined if the data ends before it does. The same holds for the others. */
  string(): Buffer | undefined;
  uint32(): number | undefined;
  /** What is left. */
  rest(): Buffer;
}

export function createWireReader(bytes: Uint8Array): WireReader {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const uint32 = (): number | undefined => {
    if (data.length - at < 4) return undefined;
    at += 4;
    return data.readUInt32BE(at - 4);
  };
  return {
    uint32,
    string() {
      const length = uint32();
      if (length === undefined || data.length - at < length) return undefined;
      at += length;
      return data.subarray(at - length, at);
    },
    rest: () => data.subarray(at),
  };
}

export function wireString(content: Uint8Array | string): Buffer {
  const bytes = Buffer.from(content as Uint8Array);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** The magnitude of a positive `mpint`, or undefined if it is negative, zero or not in its shortest form. */
export function parseMpint(bytes: Uint8Array): Buffer | undefined {
  const [first, second] = bytes;
  if (first === undefined || first >= 0x80) return undefined;
  if (first !== 0) return Buffer.from(bytes);
  return second === undefined || second < 0x80 ? undefined : Buffer.from(bytes.subarray(1));
}
