import { inflateSync } from 'node:zlib';

/** The age test kit (C2SP CCTV), and the problems that stand for its outcomes. */

export interface Vector {
  readonly name: string;
  /** `success` or a name of `OUTCOMES`. */
  readonly expect: string;
  /** SHA-256 of the plaintext, or of the part of it that may be released before the failure. */
  readonly payload: string | undefined;
  readonly identities: readonly string[];
  readonly passphrases: readonly string[];
  readonly armored: boolean;
  readonly file: Uint8Array;
}

export const OUTCOMES: Readonly<Record<string, readonly string[]>> = {
  'no match': ['crypto.no_matching_key'],
  'HMAC failure': ['crypto.tampered'],
  'header failure': [
    'crypto.malformed_header',
    'crypto.unsupported_version',
    'crypto.truncated',
    'crypto.scrypt_cost',
  ],
  'payload failure': ['crypto.tampered', 'crypto.truncated'],
  'armor failure': ['crypto.malformed_armor', 'crypto.malformed_header'],
};

export async function loadVectors(): Promise<readonly Vector[]> {
  // The package's types declare a CommonJS module; it is an ES module of named exports.
  const files = (await import('cctv-age')) as unknown as Readonly<Record<string, Uint8Array>>;
  return Object.entries(files).map(([name, bytes]) => parseVector(name, bytes));
}

/** Lines of `field: value`, some of them repeated, an empty line, then the file. */
function parseVector(name: string, bytes: Uint8Array): Vector {
  const end = Buffer.from(bytes).indexOf('\n\n');
  const fields = Buffer.from(bytes.subarray(0, end))
    .toString()
    .split('\n')
    .map((line) => line.split(/: (.*)/s) as [string, string]);
  const all = (key: string): string[] => fields.filter(([field]) => field === key).map(([, value]) => value);
  const file = bytes.subarray(end + 2);
  return {
    name,
    expect: all('expect')[0] ?? '',
    payload: all('payload')[0],
    identities: all('identity'),
    passphrases: all('passphrase'),
    armored: all('armored')[0] === 'yes',
    file: all('compressed')[0] === 'zlib' ? inflateSync(file) : file,
  };
}
