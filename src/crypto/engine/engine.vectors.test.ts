import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import test, { type TestContext } from 'node:test';
import { inflateSync } from 'node:zlib';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { streamOf, temporaryDirectory } from '../testing.ts';
import { type AgeTransfer, decryptFile } from './files.ts';

/** The age test kit (C2SP CCTV) through the ways of the engine, with threads for the smallest payload. */

interface Vector {
  readonly name: string;
  readonly expect: string;
  /** SHA-256 of the plaintext, or of the part of it that may be released before the failure. */
  readonly payload: string | undefined;
  readonly identities: readonly string[];
  readonly passphrases: readonly string[];
  readonly file: Uint8Array;
}

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
const THREADS = { jobs: 2, parallelBytesMin: 0 };

const vectors = await loadVectors();

test('the test kit is whole', () => {
  assert.equal(vectors.length, 143);
  const outcomes = new Set(vectors.map(({ expect }) => expect));
  assert.deepEqual([...outcomes].toSorted(), ['success', ...Object.keys(OUTCOMES)].toSorted());
});

for (const vector of vectors) {
  test(`${vector.name}: ${vector.expect}, from file to file`, async (t) => {
    const { directory, sealed, opened } = await workspace(t, vector);
    const error = await open(vector, { input: sealed, output: opened, ...THREADS });
    checkOutcome(vector, error);
    if (error !== undefined) {
      assert.deepEqual(await readdir(directory), ['sealed'], 'nothing is left');
      return;
    }
    assert.equal(digest(await readFile(opened)), vector.payload);
  });

  test(`${vector.name}: ${vector.expect}, from pipe to pipe`, async () => {
    const pieces: Buffer[] = [];
    const error = await open(vector, () => {
      // A new try starts again, as a person with another passphrase would.
      pieces.length = 0;
      const output = new Writable({
        write(piece: Buffer, _, done) {
          pieces.push(Buffer.from(piece));
          done();
        },
      });
      return { input: streamOf(vector.file, 70_001), output, ...THREADS };
    });
    checkOutcome(vector, error);
    const released = Buffer.concat(pieces);
    if (vector.payload === undefined) assert.equal(released.length, 0, 'nothing is released');
    else assert.equal(digest(released), vector.payload);
  });
}

/** The failure, if any. One passphrase a call: a person types one. */
async function open(vector: Vector, transfer: AgeTransfer | (() => AgeTransfer)): Promise<unknown> {
  let failure: unknown;
  for (const passphrase of vector.passphrases.length > 0 ? vector.passphrases : [undefined]) {
    const options = typeof transfer === 'function' ? transfer() : transfer;
    const secret = passphrase === undefined ? {} : { passphrase: async () => new Secret(passphrase) };
    failure = await decryptFile({ ...options, identities: vector.identities, ...secret }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (failure === undefined) break;
  }
  return failure;
}

function checkOutcome({ expect }: Vector, error: unknown): void {
  if (expect === 'success') assert.equal(error, undefined);
  else assert.ok(isProblem(error) && OUTCOMES[expect]?.includes(error.code), String(error));
}

async function workspace(t: TestContext, { file }: Vector) {
  const directory = await temporaryDirectory(t);
  const sealed = join(directory, 'sealed');
  await writeFile(sealed, file);
  return { directory, sealed, opened: join(directory, 'opened') };
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
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
      file: all('compressed')[0] === 'zlib' ? inflateSync(file) : file,
    };
  });
}
