/** Blowfish with the expensive key schedule of bcrypt. Only for reading OpenSSH keys: it protects nothing new. */

export interface Blowfish {
  /** Mixes the key into the state, and the salt if there is one. Both are 64 bytes. */
  expand(key: Uint8Array, salt?: Uint8Array): void;
  /** Encrypts pairs of words in place. */
  encrypt(words: Uint32Array): void;
}

const SUBKEYS = 18;
const BOX_WORDS = 4 * 256;

/** The words that every Blowfish state starts with: the fraction of pi, so they are computed and not listed. */
export function blowfishConstants(): Uint32Array {
  const bits = BigInt((SUBKEYS + BOX_WORDS) * 32);
  const guard = 64n;
  // Machin's formula in fixed point; the guard bits take the rounding of the terms.
  const one = 1n << (bits + guard);
  const pi = 16n * arctangentOfInverse(5n, one) - 4n * arctangentOfInverse(239n, one);
  const fraction = ((pi % one) >> guard).toString(16).padStart(Number(bits / 4n), '0');
  const bytes = Buffer.from(fraction, 'hex');
  return Uint32Array.from({ length: SUBKEYS + BOX_WORDS }, (_, i) => bytes.readUInt32BE(4 * i));
}

function arctangentOfInverse(x: bigint, one: bigint): bigint {
  let term = one / x;
  let sum = term;
  for (let n = 3n, sign = -1n; term !== 0n; n += 2n, sign = -sign) {
    term /= x * x;
    sum += (sign * term) / n;
  }
  return sum;
}

export function createBlowfish(constants: Uint32Array): Blowfish {
  const state = constants.slice();
  const p = state.subarray(0, SUBKEYS);
  const s = state.subarray(SUBKEYS);
  let left = 0;
  let right = 0;

  const mix = (x: number): number => {
    const sum = ((s[x >>> 24] as number) + (s[256 + ((x >>> 16) & 255)] as number)) | 0;
    return ((sum ^ (s[512 + ((x >>> 8) & 255)] as number)) + (s[768 + (x & 255)] as number)) | 0;
  };
  const encipher = (): void => {
    let l = left ^ (p[0] as number);
    let r = right;
    for (let i = 1; i <= 16; i += 2) {
      r ^= mix(l) ^ (p[i] as number);
      l ^= mix(r) ^ (p[i + 1] as number);
    }
    left = r ^ (p[17] as number);
    right = l;
  };
  return {
    expand(key, salt) {
      const keyWords = bigEndianWords(key);
      const saltWords = salt && bigEndianWords(salt);
      for (let i = 0; i < SUBKEYS; i++) p[i] = (p[i] as number) ^ (keyWords[i % keyWords.length] as number);
      left = 0;
      right = 0;
      for (let i = 0; i < state.length; i += 2) {
        if (saltWords) {
          left ^= saltWords[i % saltWords.length] as number;
          right ^= saltWords[(i + 1) % saltWords.length] as number;
        }
        encipher();
        state[i] = left;
        state[i + 1] = right;
      }
    },
    encrypt(words) {
      for (let i = 0; i < words.length; i += 2) {
        left = words[i] as number;
        right = words[i + 1] as number;
        encipher();
        words[i] = left;
        words[i + 1] = right;
      }
    },
  };
}

export function bigEndianWords(bytes: Uint8Array): Uint32Array {
  const data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Uint32Array.from({ length: data.length / 4 }, (_, i) => data.readUInt32BE(4 * i));
}
