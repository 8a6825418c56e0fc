import { randomBytes } from 'node:crypto';
import type { Clock } from '../../kernel/clock.ts';
import type { Problem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import {
  decryptToken,
  encodePaddedBase64Url,
  isSignedBy,
  type ParsedToken,
  parseFernetKey,
  parseToken,
  sealToken,
} from './fernet-token.ts';
import { cryptoProblems } from '../problems.ts';

/** Fernet tokens, as Python's `cryptography` makes and reads them. */
export interface Fernet {
  /** A token of the present time. Throws `crypto.too_large`. */
  encrypt(plaintext: Uint8Array): string;
  /** A token of the given time, in seconds since 1970; fractions are dropped. */
  encryptAt(plaintext: Uint8Array, seconds: number): string;
  /**
   * The plaintext. Every failure is the same `crypto.invalid_token`; the reason is its private cause. The token's time
   * matters only if `ttl` is given. Do not use the text of a token as the name of its content: compare plaintexts.
   */
  decrypt(token: string, limits?: TokenLimits): Uint8Array;
  /** When the token was made, in seconds since 1970; the signature is verified. */
  extractTimestamp(token: string): number;
  /** The same content and time under the first key. */
  rotate(token: string): string;
}

export interface TokenLimits {
  /** Seconds that a token lives. 0 is a life within the second it was made in. */
  readonly ttl?: number;
  /** Seconds since 1970; the clock's time if not given. */
  readonly now?: number;
}

export interface FernetOptions {
  /** The first encrypts; all of them decrypt. Canonical padded base64url of 32 bytes. */
  readonly keys: readonly Secret<string>[];
  readonly clock: Clock;
  /** Both directions hold several copies in memory. */
  readonly plaintextBytesMax?: number;
}

export const PLAINTEXT_BYTES_MAX = 64 * 1024 * 1024;
/** How far a token's time may lie ahead, as in the specification. */
const CLOCK_SKEW_SECONDS = 60;

/** A new key. */
export function generateFernetKey(): Secret<string> {
  return new Secret(encodePaddedBase64Url(randomBytes(32)));
}

/** Throws `crypto.invalid_key`. */
export function createFernet({
  keys,
  clock,
  plaintextBytesMax = PLAINTEXT_BYTES_MAX,
}: FernetOptions): Fernet {
  const parsed = keys.map((key) => {
    const fernetKey = parseFernetKey(key.reveal());
    if (!fernetKey)
      throw cryptoProblems.invalid_key('a Fernet key is 32 bytes in padded base64url: 44 characters');
    return fernetKey;
  });
  const [first] = parsed;
  if (!first) throw cryptoProblems.invalid_key('no Fernet key is given');

  const seal = (plaintext: Uint8Array, seconds: number): string => {
    if (plaintext.length > plaintextBytesMax) throw tooLarge(plaintextBytesMax);
    if (!(seconds >= 0 && seconds <= Number.MAX_SAFE_INTEGER))
      throw new RangeError('a token has no such time');
    return sealToken(first, { seconds: Math.floor(seconds), iv: randomBytes(16), plaintext });
  };
  const verify = (text: string) => {
    if (text.length > tokenLength(plaintextBytesMax)) throw tooLarge(plaintextBytesMax);
    const token = parseToken(text);
    if (!token) throw invalid('it does not have the form of a token');
    const key = parsed.find((candidate) => isSignedBy(candidate, token));
    if (!key) throw invalid('no key verifies its signature');
    return { token, key };
  };
  const open = (text: string, limits: TokenLimits) => {
    const { token, key } = verify(text);
    if (limits.ttl !== undefined) checkAge(token, limits.ttl, limits.now ?? clock.now() / 1000);
    const plaintext = decryptToken(key, token);
    if (!plaintext) throw invalid('its padding is wrong');
    return { token, plaintext };
  };
  return {
    encrypt: (plaintext) => seal(plaintext, clock.now() / 1000),
    encryptAt: seal,
    decrypt: (text, limits = {}) => open(text, limits).plaintext,
    extractTimestamp: (text) => Number(verify(text).token.seconds),
    rotate(text) {
      const { token, plaintext } = open(text, {});
      return seal(plaintext, Number(token.seconds));
    },
  };
}

function checkAge({ seconds }: ParsedToken, ttl: number, now: number): void {
  const made = Number(seconds);
  if (made + ttl < Math.floor(now)) throw invalid('it has expired');
  if (Math.floor(now) + CLOCK_SKEW_SECONDS < made) throw invalid('its time lies in the future');
}

function invalid(reason: string): Problem {
  return cryptoProblems.invalid_token('the token is not valid for this key and time', {
    cause: new Error(reason),
  });
}

function tooLarge(bytesMax: number): Problem {
  return cryptoProblems.too_large(`a Fernet token carries at most ${bytesMax} bytes; use the age format`);
}

/** Characters of the token that carries `bytes` of plaintext. */
function tokenLength(bytes: number): number {
  const ciphertext = (Math.floor(bytes / 16) + 1) * 16;
  return Math.ceil((25 + ciphertext + 32) / 3) * 4;
}
