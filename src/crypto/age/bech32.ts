/** Bech32 (BIP 173) without its length limit, as age uses it for keys. Pure. */

const ALPHABET = 'qpzry9x8gf2tvdw0s3jn54khce6mua7l';
const GENERATOR = [0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3] as const;
const CHECKSUM_LENGTH = 6;

/** The lower-case Bech32 text of `bytes` under the prefix `hrp`, which must be lower case. */
export function encodeBech32(hrp: string, bytes: Uint8Array): string {
  const data = toQuintets(bytes);
  const sum = polymod([...expand(hrp), ...data, 0, 0, 0, 0, 0, 0]) ^ 1;
  for (let i = 0; i < CHECKSUM_LENGTH; i++) data.push((sum >>> (5 * (5 - i))) & 31);
  return `${hrp}1${data.map((quintet) => ALPHABET[quintet]).join('')}`;
}

/** Prefix (in the case it was written in) and bytes, or undefined for anything but valid canonical Bech32. */
export function parseBech32(text: string): { readonly hrp: string; readonly bytes: Uint8Array } | undefined {
  const lower = text.toLowerCase();
  if (text !== lower && text !== text.toUpperCase()) return undefined;
  const split = lower.lastIndexOf('1');
  if (split < 1 || split + 1 + CHECKSUM_LENGTH > lower.length) return undefined;
  const hrp = lower.slice(0, split);
  if (!/^[\x21-\x7e]+$/.test(hrp)) return undefined;
  const data: number[] = [];
  for (const character of lower.slice(split + 1)) {
    const quintet = ALPHABET.indexOf(character);
    if (quintet < 0) return undefined;
    data.push(quintet);
  }
  if (polymod([...expand(hrp), ...data]) !== 1) return undefined;
  const bytes = fromQuintets(data.slice(0, -CHECKSUM_LENGTH));
  return bytes && { hrp: text.slice(0, split), bytes };
}

function polymod(values: readonly number[]): number {
  let sum = 1;
  for (const value of values) {
    const top = sum >>> 25;
    sum = ((sum & 0x1ffffff) << 5) ^ value;
    GENERATOR.forEach((term, i) => {
      if ((top >>> i) & 1) sum ^= term;
    });
  }
  return sum;
}

function expand(hrp: string): number[] {
  const codes = Array.from(hrp, (character) => character.charCodeAt(0));
  return [...codes.map((code) => code >>> 5), 0, ...codes.map((code) => code & 31)];
}

function toQuintets(bytes: Uint8Array): number[] {
  const quintets: number[] = [];
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    for (bits += 8; bits >= 5; bits -= 5) quintets.push((held >>> (bits - 5)) & 31);
    held &= 31;
  }
  if (bits > 0) quintets.push((held << (5 - bits)) & 31);
  return quintets;
}

function fromQuintets(quintets: readonly number[]): Uint8Array | undefined {
  const bytes: number[] = [];
  let bits = 0;
  let held = 0;
  for (const quintet of quintets) {
    held = (held << 5) | quintet;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((held >>> bits) & 255);
      held &= (1 << bits) - 1;
    }
  }
  // What is left over must be padding: fewer than five bits, all zero. Otherwise one key had several texts.
  return bits >= 5 || held !== 0 ? undefined : Uint8Array.from(bytes);
}
