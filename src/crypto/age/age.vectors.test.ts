import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { PassThrough, Readable } from 'node:stream';
import test from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { decryptStream, type Opening } from './age.ts';
import { loadVectors, OUTCOMES, type Vector } from './age.vectors.harness.ts';
import { dearmor } from './armor.ts';
import { createRandomAccess } from './random-access.ts';

/** The age test kit (C2SP CCTV). Every vector runs on every path. */

const vectors = await loadVectors();

type Path = (vector: Vector, opening: Opening) => Promise<Outcome>;

const whole: Path = ({ file }, opening) => drain(decryptStream(streamOf(file), opening));

/** Ways through the code for the same file. */
const PATHS: Readonly<Record<string, Path>> = {
  whole,
  // Byte by byte takes too long for files of many chunks; a prime size meets their borders at every offset.
  'byte by byte': ({ file }, opening) =>
    drain(decryptStream(streamOf(file, file.length > 4096 ? 1021 : 1), opening)),
  'from a pipe': ({ file }, opening) => drain(decryptStream(pipe(file), opening)),
  'at random': openAtRandom,
};

interface Outcome {
  readonly bytes: Buffer;
  readonly error?: unknown;
}

test('the test kit is whole', () => {
  assert.equal(vectors.length, 143);
  const postQuantum = vectors.filter((v) =>
    v.identities.some((text) => text.startsWith('AGE-SECRET-KEY-PQ-')),
  );
  assert.equal(postQuantum.length, 19);
});

for (const [path, open] of Object.entries(PATHS)) {
  for (const vector of vectors) {
    test(`${vector.name}, ${path}: ${vector.expect}`, async () => {
      const { bytes, error } = await withEachPassphrase(vector, (opening) => open(vector, opening));
      if (vector.expect === 'success') assert.equal(error, undefined);
      else assert.ok(isProblem(error) && OUTCOMES[vector.expect]?.includes(error.code), String(error));
      if (vector.payload === undefined) return assert.equal(bytes.length, 0, 'nothing is released');
      let released = bytes;
      if (path === 'at random' && error !== undefined) {
        // It may give less, since it looks at the end first and gives no chunk with a wrong mark, but nothing else.
        released = (await withEachPassphrase(vector, (opening) => whole(vector, opening))).bytes;
        assert.ok(released.subarray(0, bytes.length).equals(bytes));
      }
      assert.equal(createHash('sha256').update(released).digest('hex'), vector.payload);
    });
  }
}

/** One passphrase a call: a person types one. */
async function withEachPassphrase(
  vector: Vector,
  open: (opening: Opening) => Promise<Outcome>,
): Promise<Outcome> {
  const { identities, passphrases } = vector;
  if (passphrases.length === 0) return open({ identities });
  let result: Outcome = { bytes: Buffer.alloc(0) };
  for (const text of passphrases) {
    result = await open({ identities, passphrase: () => Promise.resolve(new Secret(text)) });
    if (result.error === undefined) break;
  }
  return result;
}

/** As stdin gives a file: in pieces cut by the system, at its own pace. */
function pipe(file: Uint8Array): Readable {
  return Readable.from(streamOf(file, 65_549)).pipe(new PassThrough({ highWaterMark: 700 }));
}

/** Reads the whole plaintext in parts, from a source that gives less than asked for. */
async function openAtRandom({ file: given, armored }: Vector, opening: Opening): Promise<Outcome> {
  const pieces: Uint8Array[] = [];
  try {
    const file = armored ? await collect(dearmor(streamOf(given))) : given;
    const access = await createRandomAccess({
      size: file.length,
      read: (offset, length) => Promise.resolve(file.subarray(offset, offset + Math.min(length, 50_000))),
      ...opening,
    });
    for (let at = 0; at < access.size; at += 65_536) pieces.push(await access.read(at, 65_536));
  } catch (error) {
    return { bytes: Buffer.concat(pieces), error };
  }
  return { bytes: Buffer.concat(pieces) };
}
