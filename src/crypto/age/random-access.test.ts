import assert from 'node:assert/strict';
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import test from 'node:test';
import * as fc from 'fast-check';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, streamOf } from '../testing.ts';
import { encryptStream } from './age.ts';
import { createFileKeyFor } from './file-key.ts';
import { generateIdentity } from './keys.ts';
import { CHUNK_BYTES, chunkNonce, payloadKey, SEALED_CHUNK_BYTES } from './payload.ts';
import { createRandomAccess, type RandomAccess, type RandomAccessSource } from './random-access.ts';

const alice = generateIdentity();
const identities = [alice.identity];
const seal = (plaintext: Uint8Array) =>
  collect(encryptStream(streamOf(plaintext), { recipients: [alice.recipient] }));
const over = (file: Uint8Array): RandomAccessSource => ({
  size: file.length,
  read: (offset, length) => Promise.resolve(file.subarray(offset, offset + length)),
});
const open = (file: Uint8Array): Promise<RandomAccess> => createRandomAccess({ ...over(file), identities });

for (const size of [
  0,
  1,
  CHUNK_BYTES - 1,
  CHUNK_BYTES,
  CHUNK_BYTES + 1,
  2 * CHUNK_BYTES,
  20 * CHUNK_BYTES + 7,
]) {
  test(`reads ${size} bytes at every border`, async () => {
    const plaintext = randomBytes(size);
    const access = await open(await seal(plaintext));
    assert.equal(access.size, size);
    const borders = [
      0,
      1,
      CHUNK_BYTES - 1,
      CHUNK_BYTES,
      CHUNK_BYTES + 1,
      2 * CHUNK_BYTES,
      size - 1,
      size,
      size + 1,
    ];
    for (const offset of borders.filter((place) => place >= 0)) {
      for (const length of [0, 1, 2, CHUNK_BYTES, CHUNK_BYTES + 1, size]) {
        const expected = plaintext.subarray(offset, offset + length);
        assert.ok(expected.equals(await access.read(offset, length)), `${length} bytes from ${offset}`);
      }
    }
  });
}

test('any read gives what slicing the plaintext gives', async () => {
  const plaintext = randomBytes(3 * CHUNK_BYTES + 500);
  const access = await open(await seal(plaintext));
  await fc.assert(
    fc.asyncProperty(fc.nat(4 * CHUNK_BYTES), fc.nat(4 * CHUNK_BYTES), async (offset, length) => {
      assert.ok(plaintext.subarray(offset, offset + length).equals(await access.read(offset, length)));
    }),
    { numRuns: 60 },
  );
});

test('reads no more of the source than it needs, even if the source gives less than asked for', async () => {
  const plaintext = randomBytes(10 * CHUNK_BYTES);
  const file = await seal(plaintext);
  const seen = new Set<number>();
  const access = await createRandomAccess({
    size: file.length,
    async read(offset, length) {
      const piece = file.subarray(offset, offset + Math.min(length, 1000));
      for (let at = offset; at < offset + piece.length; at++) seen.add(at);
      return piece;
    },
    identities,
  });
  assert.ok(seen.size < SEALED_CHUNK_BYTES + 5000, 'the header and the last chunk');
  const before = seen.size;
  assert.ok(plaintext.subarray(300_000, 300_010).equals(await access.read(300_000, 10)));
  assert.equal(seen.size - before, SEALED_CHUNK_BYTES);
});

test('a cut, extended or rearranged file is refused before anything is read of it', async () => {
  const file = await seal(randomBytes(3 * CHUNK_BYTES));
  const start = file.length - 3 * SEALED_CHUNK_BYTES;
  const head = file.subarray(0, start);
  const chunk = (n: number) =>
    file.subarray(start + n * SEALED_CHUNK_BYTES, start + (n + 1) * SEALED_CHUNK_BYTES);
  const cases: readonly [string, Uint8Array, ProblemDefinition, number?][] = [
    ['cut at a border', file.subarray(0, -SEALED_CHUNK_BYTES), cryptoProblems.truncated, 1],
    ['cut inside the last', file.subarray(0, -1), cryptoProblems.tampered, 2],
    ['cut inside a tag', file.subarray(0, start + SEALED_CHUNK_BYTES + 9), cryptoProblems.truncated, 1],
    ['no chunk', head, cryptoProblems.truncated, 0],
    ['no salt', file.subarray(0, start - 1), cryptoProblems.truncated],
    ['half a header', file.subarray(0, 40), cryptoProblems.truncated],
    ['one byte more', Buffer.concat([file, Buffer.of(0)]), cryptoProblems.truncated, 3],
    ['a chunk more', Buffer.concat([file, chunk(2)]), cryptoProblems.tampered, 3],
    ['a chunk less', Buffer.concat([head, chunk(0), chunk(2)]), cryptoProblems.tampered, 1],
  ];
  for (const [what, changed, problem, named] of cases) {
    await assert.rejects(
      open(changed),
      (error) => isProblem(error, problem) && error.members['chunk'] === named,
      what,
    );
  }
});

test('a changed or swapped chunk is refused when it is read, and the others are not', async () => {
  const plaintext = randomBytes(4 * CHUNK_BYTES);
  const file = await seal(plaintext);
  const start = file.length - 4 * SEALED_CHUNK_BYTES;
  file[start + SEALED_CHUNK_BYTES + 5] = (file[start + SEALED_CHUNK_BYTES + 5] as number) ^ 1;
  const access = await open(file);
  const tampered = (error: unknown) =>
    isProblem(error, cryptoProblems.tampered) && error.members['chunk'] === 1;
  await assert.rejects(access.read(CHUNK_BYTES, 1), tampered);
  await assert.rejects(access.read(0, plaintext.length), tampered);
  assert.ok(plaintext.subarray(0, CHUNK_BYTES).equals(await access.read(0, CHUNK_BYTES)));
  assert.ok(plaintext.subarray(2 * CHUNK_BYTES).equals(await access.read(2 * CHUNK_BYTES, 2 * CHUNK_BYTES)));
});

test('an empty last chunk is refused where chunks stand before it', async () => {
  const { header, fileKey } = createFileKeyFor([alice.recipient]);
  const salt = randomBytes(16);
  const chunks = [
    sealChunk(fileKey, salt, 0, false, Buffer.alloc(CHUNK_BYTES)),
    sealChunk(fileKey, salt, 1, true, Buffer.alloc(0)),
  ];
  await assert.rejects(open(Buffer.concat([header, salt, ...chunks])), (error) =>
    isProblem(error, cryptoProblems.tampered),
  );
});

test('a file that shrinks after it was opened is told from a changed one', async () => {
  const file = await seal(randomBytes(2 * CHUNK_BYTES));
  let size = file.length;
  const access = await createRandomAccess({
    size,
    read: (offset, length) => Promise.resolve(file.subarray(offset, Math.min(offset + length, size))),
    identities,
  });
  size -= SEALED_CHUNK_BYTES + 1;
  await assert.rejects(access.read(0, 1), (error) => isProblem(error, cryptoProblems.truncated));
});

test('reads beyond 4 GiB, and beyond 2^32 chunks', async () => {
  const { header, fileKey } = createFileKeyFor([alice.recipient]);
  const salt = randomBytes(16);
  const front = Buffer.concat([header, salt]);
  for (const chunks of [2 ** 17, 2 ** 32 + 5]) {
    const lastLength = 100;
    const content = (chunk: number): Buffer => {
      const whole = Buffer.alloc(CHUNK_BYTES, createHash('sha256').update(String(chunk)).digest());
      return chunk === chunks - 1 ? whole.subarray(0, lastLength) : whole;
    };
    // The sealed file exists only where it is read.
    const read = async (offset: number, length: number): Promise<Uint8Array> => {
      if (offset < front.length) return front.subarray(offset, offset + length);
      const chunk = Math.floor((offset - front.length) / SEALED_CHUNK_BYTES);
      const at = offset - front.length - chunk * SEALED_CHUNK_BYTES;
      return sealChunk(fileKey, salt, chunk, chunk === chunks - 1, content(chunk)).subarray(at, at + length);
    };
    const size = front.length + (chunks - 1) * SEALED_CHUNK_BYTES + lastLength + 16;
    const access = await createRandomAccess({ size, read, identities });
    assert.equal(access.size, (chunks - 1) * CHUNK_BYTES + lastLength);
    const middle = Math.floor(chunks / 2) + 3;
    for (const chunk of [middle, chunks - 2]) {
      const expected = Buffer.concat([content(chunk).subarray(-10), content(chunk + 1).subarray(0, 10)]);
      assert.ok(expected.equals(await access.read((chunk + 1) * CHUNK_BYTES - 10, 20)));
    }
    assert.ok(content(chunks - 1).equals(await access.read((chunks - 1) * CHUNK_BYTES, 1000)));
  }
});

test('opens with a passphrase, says that a key is wrong, and refuses armor and what is no place', async () => {
  const plaintext = Buffer.from('hello');
  const locked = await collect(
    encryptStream(streamOf(plaintext), { passphrase: new Secret('horse'), workFactor: 5 }),
  );
  const passphrase = () => Promise.resolve(new Secret('horse'));
  const access = await createRandomAccess({ ...over(locked), passphrase });
  assert.ok(plaintext.equals(await access.read(0, 5)));
  await assert.rejects(open(locked), (error) => isProblem(error, cryptoProblems.no_matching_key));
  const text = await collect(
    encryptStream(streamOf(plaintext), { recipients: [alice.recipient], armor: true }),
  );
  await assert.rejects(
    open(text),
    (error) => isProblem(error, cryptoProblems.malformed_header) && error.detail.includes('armor'),
  );
  for (const [offset, length] of [
    [-1, 1],
    [0, -1],
    [0.5, 1],
    [0, Number.NaN],
    [2 ** 53, 1],
  ] as const) {
    await assert.rejects(access.read(offset, length), RangeError);
  }
});

function sealChunk(
  fileKey: Uint8Array,
  salt: Uint8Array,
  counter: number,
  last: boolean,
  plaintext: Uint8Array,
): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', payloadKey(fileKey, salt), chunkNonce(counter, last), {
    authTagLength: 16,
  });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}
