import { randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../../kernel/clock.ts';
import type { Problem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import {
  decryptToken,
  type FernetKey,
  importFernetKey,
  isSignedBy,
  type ParsedToken,
  parseToken,
  SECONDS_MAX,
  sealToken,
  tokenBytes,
} from './fernet-token.ts';
import { encodePaddedBase64Url, parseLenientBase64, parsePaddedBase64Url } from './token-text.ts';

/** Fernet tokens, as Python's `cryptography` makes and reads them. */
export interface Fernet {
  /** A token of the present time. Throws `crypto.too_large`. */
  encrypt(plaintext: Uint8Array): string;
  /** A token of the given time, in seconds since 1970; fractions are dropped. Throws a RangeError on a time that is none. */
  encryptAt(plaintext: Uint8Array, seconds: number): string;
  /**
   * The plaintext. Every failure is the same `crypto.invalid_token`; the reason is its private cause. The token's time
   * matters only if `ttl` is given. Do not use the text of a token as the name of its content: compare plaintexts.
   */
  decrypt(token: string, limits?: TokenLimits): Uint8Array;
  /** The same, as if it were `seconds` since 1970 now. */
  decryptAt(token: string, seconds: number, limits: Required<TokenLimits>): Uint8Array;
  /**
   * When the token was made, in seconds since 1970; the signature is verified. Beyond 2^53, where no honest clock is, the
   * nearest number.
   */
  extractTimestamp(token: string): number;
  /** The same content and time under the first key. */
  rotate(token: string): string;
}

export interface TokenLimits {
  /** Seconds that a token lives. 0 is a life within the second it was made in. */
  readonly ttl?: number;
}

export interface FernetOptions {
  /**
   * The first encrypts; all of them decrypt. 32 bytes in canonical padded base64url; one line end after it is accepted,
   * as it stands in files.
   */
  readonly keys: readonly Secret<string>[];
  readonly clock?: Clock;
  /** Both directions hold several copies in memory. */
  readonly plaintextBytesMax?: number;
  /**
   * Reads every text of a key or token that Python's `cryptography` reads: the standard alphabet, stray characters, unused
   * bits. For tokens that something re-wrapped on the way; what is written stays canonical.
   */
  readonly lenient?: boolean;
}

export const PLAINTEXT_BYTES_MAX = 64 * 1024 * 1024;
/** How far a token's time may lie ahead, as in the specification. */
const CLOCK_SKEW_SECONDS = 60n;
/** A lenient text may be longer than its bytes need, by line ends and the like. */
const LENIENT_LENGTH_FACTOR = 2;

/** A new key. */
export function generateFernetKey(): Secret<string> {
  return new Secret(encodePaddedBase64Url(randomBytes(32)));
}

/** Throws `crypto.invalid_key`. */
export function createFernet({
  keys,
  clock = systemClock,
  plaintextBytesMax = PLAINTEXT_BYTES_MAX,
  lenient = false,
}: FernetOptions): Fernet {
  const parseText = lenient ? parseLenientBase64 : parsePaddedBase64Url;
  const parsed = keys.map((key) => parseKey(key, parseText));
  const [first] = parsed;
  if (!first) throw cryptoProblems.invalid_key('no Fernet key is given');
  const tokenLengthMax =
    Math.ceil(tokenBytes(plaintextBytesMax) / 3) * 4 * (lenient ? LENIENT_LENGTH_FACTOR : 1);

  const seal = (plaintext: Uint8Array, seconds: bigint): string => {
    if (plaintext.length > plaintextBytesMax) throw tooLarge(plaintextBytesMax);
    return sealToken(first, { seconds, iv: randomBytes(16), plaintext });
  };
  const verify = (text: string): { readonly token: ParsedToken; readonly key: FernetKey } => {
    if (text.length > tokenLengthMax) throw tooLarge(plaintextBytesMax);
    const bytes = parseText(text);
    const token = bytes && parseToken(bytes);
    if (!token) throw invalid('it does not have the form of a token');
    if (token.bytes.length > tokenBytes(plaintextBytesMax)) throw tooLarge(plaintextBytesMax);
    const key = parsed.find((candidate) => isSignedBy(candidate, token));
    if (!key) throw invalid('no key verifies its signature');
    return { token, key };
  };
  const open = (text: string, check: (token: ParsedToken) => void) => {
    const { token, key } = verify(text);
    check(token);
    const plaintext = decryptToken(key, token);
    if (!plaintext) throw invalid('its padding is wrong');
    return { token, plaintext };
  };
  return {
    encrypt: (plaintext) => seal(plaintext, secondsOf(clock.now() / 1000)),
    encryptAt: (plaintext, seconds) => seal(plaintext, secondsOf(seconds)),
    decrypt: (text, { ttl } = {}) =>
      open(text, ttl === undefined ? anyAge : ageCheck(ttl, clock.now() / 1000)).plaintext,
    decryptAt: (text, seconds, { ttl }) => open(text, ageCheck(ttl, seconds)).plaintext,
    extractTimestamp: (text) => Number(verify(text).token.seconds),
    rotate(text) {
      const { token, plaintext } = open(text, anyAge);
      return seal(plaintext, token.seconds);
    },
  };
}

function parseKey(key: Secret<string>, parseText: (text: string) => Buffer | undefined): FernetKey {
  const bytes = parseText(key.reveal().replace(/\r?\n$/, ''));
  const fernetKey = bytes && importFernetKey(bytes);
  if (!fernetKey)
    throw cryptoProblems.invalid_key('a Fernet key is 32 bytes in padded base64url: 44 characters');
  return fernetKey;
}

function anyAge(): void {}

/** Throws a RangeError at once on limits that are none: a comparison with NaN would let every token through. */
function ageCheck(ttl: number, now: number): (token: ParsedToken) => void {
  if (!(ttl >= 0 && Number.isFinite(ttl))) throw new RangeError('a ttl is a number of seconds, 0 or more');
  const life = BigInt(Math.floor(ttl));
  const present = secondsOf(now);
  return ({ seconds }) => {
    if (seconds + life < present) throw invalid('it has expired');
    if (present + CLOCK_SKEW_SECONDS < seconds) throw invalid('its time lies in the future');
  };
}

/** Whole seconds. Throws a RangeError on what a token cannot carry. */
function secondsOf(seconds: number): bigint {
  const whole = seconds >= 0 && Number.isFinite(seconds) ? BigInt(Math.floor(seconds)) : undefined;
  if (whole === undefined || whole > SECONDS_MAX) throw new RangeError('a token has no such time');
  return whole;
}

function invalid(reason: string): Problem {
  return cryptoProblems.invalid_token('the token is not valid for this key and time', {
    cause: new Error(reason),
  });
}

function tooLarge(bytesMax: number): Problem {
  return cryptoProblems.too_large(`a Fernet token carries at most ${bytesMax} bytes; use the age format`);
}
