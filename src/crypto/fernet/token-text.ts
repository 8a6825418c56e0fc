/** The text of keys and tokens: base64url with padding (RFC 4648 §5), read strictly or as Python reads it. */

export function encodePaddedBase64Url(bytes: Buffer): string {
  const text = bytes.toString('base64url');
  return text + '='.repeat((4 - (text.length % 4)) % 4);
}

/** Bytes of the canonical text, and of no other: Node's own decoder skips junk and ignores unused bits. */
export function parsePaddedBase64Url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  return encodePaddedBase64Url(bytes) === text ? bytes : undefined;
}

/**
 * What Python's `base64.urlsafe_b64decode` makes of a text, which is what `cryptography.fernet` accepts: both alphabets,
 * anything else skipped, unused bits ignored, and nothing read after padding that completes a group. So one value has any
 * number of texts. Undefined where Python raises: missing padding, or a character beyond ASCII.
 */
export function parseLenientBase64(text: string): Buffer | undefined {
  const bytes = Buffer.alloc(Math.ceil((text.length * 3) / 4));
  let length = 0;
  let position = 0;
  let pads = 0;
  let carry = 0;
  let complete = false;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return undefined;
    if (complete) continue;
    if (code === EQUALS_SIGN) {
      // Padding where none can stand is one more character to skip.
      if (position >= 2) complete = position + ++pads >= 4;
      continue;
    }
    const sextet = SEXTETS[code] as number;
    if (sextet === NOT_IN_ALPHABET) continue;
    pads = 0;
    if (position > 0) bytes[length++] = (carry << (position * 2)) | (sextet >> (6 - position * 2));
    carry = sextet;
    position = (position + 1) % 4;
  }
  return complete || position === 0 ? bytes.subarray(0, length) : undefined;
}

const EQUALS_SIGN = 0x3d;
const NOT_IN_ALPHABET = 0xff;
const COMMON = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const SEXTETS = sextetsOf([`${COMMON}-_`, `${COMMON}+/`]);

/** The value of each ASCII character in any of the alphabets. */
function sextetsOf(alphabets: readonly string[]): Uint8Array {
  const table = new Uint8Array(128).fill(NOT_IN_ALPHABET);
  for (const alphabet of alphabets)
    for (let value = 0; value < alphabet.length; value++) table[alphabet.charCodeAt(value)] = value;
  return table;
}
