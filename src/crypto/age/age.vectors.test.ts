import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test from 'node:test';
import { inflateSync } from 'node:zlib';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { drain, streamOf } from '../testing.ts';
import { decryptStream } from './age.ts';

/** The age test kit (C2SP CCTV). Every vector runs; those of a kind of key that is not supported must be refused. */

interface Vector {
  readonly name: string;
  readonly expect: string;
  readonly payload: string | undefined;
  readonly identities: readonly string[];
  readonly passphrases: readonly string[];
  readonly armored: boolean;
  readonly file: Uint8Array;
}

/** Vectors that need a post-quantum key: the identity itself is refused, before the file is opened. */
const UNSUPPORTED_IDENTITY = new Set([
  'armor_hybrid',
  'hybrid',
  'hybrid_and_x25519',
  'hybrid_bad_tag',
  'hybrid_currupted_enc_mlkem',
  'hybrid_currupted_enc_x25519',
  'hybrid_extra_argument',
  'hybrid_grease',
  'hybrid_identity',
  'hybrid_long_file_key',
  'hybrid_long_share',
  'hybrid_low_order',
  'hybrid_multiple_recipients',
  'hybrid_no_match',
  'hybrid_not_canonical_body',
  'hybrid_not_canonical_enc',
  'hybrid_short_share',
  'hybrid_uppercase',
  'hybrid_x25519_arg',
]);

/** The kit's outcomes, and the problems that stand for them. */
const OUTCOMES: Readonly<Record<string, readonly string[]>> = {
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

const vectors = await loadVectors();

test('the test kit is whole', () => {
  assert.equal(vectors.length, 143);
  assert.deepEqual(
    vectors
      .filter(({ identities }) => identities.some((text) => text.startsWith('AGE-SECRET-KEY-PQ-')))
      .map((v) => v.name),
    [...UNSUPPORTED_IDENTITY],
  );
});

for (const vector of vectors) {
  const whole = Math.max(vector.file.length, 1);
  // Byte by byte takes too long for files of many chunks; a prime size meets their borders at every offset.
  for (const size of [whole, vector.file.length > 4096 ? 1021 : 1]) {
    test(`${vector.name}: ${vector.expect}, in pieces of ${size}`, async () => {
      const { bytes, error } = await open(vector, size);
      if (UNSUPPORTED_IDENTITY.has(vector.name)) {
        assert.ok(isProblem(error, cryptoProblems.unsupported_key), String(error));
        assert.equal(bytes.length, 0);
        return;
      }
      if (vector.expect === 'success') assert.equal(error, undefined);
      else assert.ok(isProblem(error) && OUTCOMES[vector.expect]?.includes(error.code), String(error));
      if (vector.payload !== undefined) {
        assert.equal(createHash('sha256').update(bytes).digest('hex'), vector.payload);
      } else {
        assert.equal(bytes.length, 0, 'nothing is released');
      }
    });
  }
}

async function open(vector: Vector, size: number): Promise<{ bytes: Buffer; error?: unknown }> {
  // One passphrase a call: a person types one.
  const passphrases = vector.passphrases.length > 0 ? vector.passphrases : [undefined];
  let result: { bytes: Buffer; error?: unknown } = { bytes: Buffer.alloc(0) };
  for (const passphrase of passphrases) {
    result = await drain(
      decryptStream(streamOf(vector.file, size), {
        identities: vector.identities,
        ...(passphrase === undefined ? {} : { passphrase: () => Promise.resolve(new Secret(passphrase)) }),
      }),
    );
    if (result.error === undefined) break;
  }
  return result;
}

async function loadVectors(): Promise<readonly Vector[]> {
  // The package's types declare a CommonJS module; it is an ES module of named exports.
  const files = (await import('cctv-age')) as unknown as Readonly<Record<string, Uint8Array>>;
  return Object.entries(files).map(([name, bytes]) => {
    const end = Buffer.from(bytes).indexOf('\n\n');
    const fields = Buffer.from(bytes.subarray(0, end))
      .toString()
      .split('\n')
      .map((line) => line.split(/: (.*)/s) as [string, string]);
    const all = (key: string): string[] =>
      fields.filter(([field]) => field === key).map(([, value]) => value);
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
  });
}
