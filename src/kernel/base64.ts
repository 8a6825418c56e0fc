/** Base64 as RFC 4648 defines it and nothing else: Node's decoder skips junk, accepts both alphabets, and ignores
 * trailing bits, so one value would have many spellings. Each parser returns undefined for anything but the canonical
 * text of some bytes. */

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

export function encodeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Canonical padded base64. */
export function parseBase64(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : undefined;
}

/** Canonical base64url without padding (JOSE). */
export function parseBase64Url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : undefined;
}

/** Canonical hex, lower case. */
export function parseHex(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'hex');
  return bytes.toString('hex') === text ? bytes : undefined;
}
