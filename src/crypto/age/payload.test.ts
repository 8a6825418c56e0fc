import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import test from 'node:test';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, drain, streamOf } from '../testing.ts';
import {
  CHUNK_BYTES,
  freePieces,
  openChunks,
  openPayload,
  payloadKey,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunks,
  sealPayload,
  splitChunks,
} from './payload.ts';

const fileKey = Buffer.alloc(16, 7);
const key = payloadKey(fileKey, Buffer.alloc(SALT_BYTES, 1));

/** Around the places where a counter of 32 bits, or of 53 in a double, would go wrong. */
const COUNTERS = [0, 255, 2 ** 31 - 1, 2 ** 32 - 2, 2 ** 40 - 1, 2 ** 48 - 3];

for (const first of COUNTERS) {
  test(`chunks ${first} and on carry their counter in 11 big-endian bytes`, () => {
    const chunks = [randomBytes(CHUNK_BYTES), randomBytes(CHUNK_BYTES), randomBytes(5)];
    const sealed = Buffer.concat(sealChunks(key, first, chunks, true));
    assert.ok(sealed.equals(Buffer.concat(chunks.map((chunk, i) => expected(chunk, first + i, i === 2)))));
    const opened = openChunks(key, first, splitChunks(sealed, SEALED_CHUNK_BYTES), true);
    assert.equal(opened.failure, undefined);
    assert.ok(Buffer.concat(opened.pieces).equals(Buffer.concat(chunks)));
    const elsewhere = openChunks(key, first + 1, splitChunks(sealed, SEALED_CHUNK_BYTES), true);
    assert.deepEqual(elsewhere.pieces, []);
    assert.equal(elsewhere.failure?.kind, 'tampered');
    assert.equal(elsewhere.failure.chunk, first + 1);
  });
}

test('pieces that are freed hold nothing, and memory that others share stays', () => {
  const sealed = sealChunks(key, 0, [randomBytes(CHUNK_BYTES)], true);
  const { pieces } = openChunks(key, 0, [Buffer.concat(sealed)], true);
  const shared = Buffer.alloc(100, 1).subarray(10, 20);
  freePieces([...sealed, ...pieces, shared]);
  assert.deepEqual(
    [...sealed, ...pieces].map(({ buffer }) => buffer.byteLength),
    [0, 0, 0],
  );
  assert.deepEqual(shared, Buffer.alloc(10, 1));
});

test('a counter that the format cannot hold in our numbers is refused, never wrapped', () => {
  assert.throws(() => sealChunks(key, 2 ** 48, [randomBytes(1)], false), RangeError);
});

test('tags are 16 bytes: a shorter one, which the cipher would take, is no tag', () => {
  const [piece, tag] = sealChunks(key, 0, [Buffer.from('hello')], true) as [Buffer, Buffer];
  assert.equal(tag.length, 16);
  for (const length of [4, 8, 12, 15]) {
    // Node's cipher accepts these lengths if it is not told otherwise.
    const { pieces, failure } = openChunks(key, 0, [Buffer.concat([piece, tag.subarray(0, length)])], true);
    assert.deepEqual(pieces, []);
    assert.ok(failure);
  }
  const decipher = createDecipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
  assert.throws(() => decipher.setAuthTag(tag.subarray(0, 12)), /Invalid authentication tag length/);
});

test('of a chunk whose last byte is wrong, not one byte is released', () => {
  const sealed = Buffer.concat(sealChunks(key, 0, [randomBytes(CHUNK_BYTES)], true));
  sealed[CHUNK_BYTES + 15] = (sealed[CHUNK_BYTES + 15] as number) ^ 0x80;
  const { pieces, failure } = openChunks(key, 0, [sealed], true);
  assert.deepEqual(pieces, []);
  assert.deepEqual(failure, {
    kind: 'tampered',
    chunk: 0,
    detail: 'chunk 0 was changed, or the file was cut short inside it',
  });
});

test('every way to rearrange chunks is refused, and named by the first that is wrong', async () => {
  const plaintext = randomBytes(3 * CHUNK_BYTES + 100);
  const whole = await collect(sealPayload(fileKey, streamOf(plaintext)));
  const salt = whole.subarray(0, SALT_BYTES);
  const [a, b, c, d] = splitChunks(whole.subarray(SALT_BYTES), SEALED_CHUNK_BYTES) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ];
  // An empty last chunk with a valid tag, which only the holder of the key can make: the format forbids it.
  const empty = Buffer.concat(sealChunks(payloadKey(fileKey, salt), 4, [Buffer.alloc(0)], true));
  const { tampered, truncated } = cryptoProblems;
  const cases: Readonly<Record<string, [readonly Uint8Array[], ProblemDefinition, number, number]>> = {
    'cut after the first chunk': [[a], truncated, 0, 1],
    'cut after the second chunk': [[a, b], truncated, 1, 2],
    'cut after the third chunk': [[a, b, c], truncated, 2, 3],
    'cut inside a tag': [[a, b, c.subarray(0, 10)], truncated, 2, 2],
    'cut inside the last chunk': [[a, b, c, d.subarray(0, -1)], tampered, 3, 3],
    swapped: [[b, a, c, d], tampered, 0, 0],
    duplicated: [[a, b, b, c, d], tampered, 2, 2],
    'one left out': [[a, c, d], tampered, 1, 1],
    'the last one twice': [[a, b, c, d, d], tampered, 3, 3],
    'one byte added': [[a, b, c, d, Buffer.from('x')], tampered, 3, 3],
    'an empty chunk added': [[a, b, c, d, empty], tampered, 3, 3],
    'no chunk at all': [[], truncated, 0, 0],
  };
  for (const [name, [chunks, problem, chunk, released]] of Object.entries(cases)) {
    const sealed = Buffer.concat([salt, ...chunks]);
    for (const size of [undefined, 4099]) {
      const { bytes, error } = await drain(openPayload(fileKey, streamOf(sealed, size)));
      assert.ok(isProblem(error, problem), `${name}: ${String(error)}`);
      assert.equal(error.members['chunk'], chunk, name);
      assert.ok(bytes.equals(plaintext.subarray(0, released * CHUNK_BYTES)), name);
    }
  }
});

test('an empty last chunk is refused, except as the whole payload', async () => {
  const salt = randomBytes(SALT_BYTES);
  const own = payloadKey(fileKey, salt);
  const full = Buffer.concat(sealChunks(own, 0, [randomBytes(CHUNK_BYTES)], false));
  const empty = (counter: number) => Buffer.concat(sealChunks(own, counter, [Buffer.alloc(0)], true));
  const after = await drain(openPayload(fileKey, streamOf(Buffer.concat([salt, full, empty(1)]))));
  assert.ok(isProblem(after.error, cryptoProblems.tampered));
  assert.deepEqual(await drain(openPayload(fileKey, streamOf(Buffer.concat([salt, empty(0)])))), {
    bytes: Buffer.alloc(0),
  });
});

/** Straight from the specification, with a counter that is a BigInt. */
function expected(chunk: Uint8Array, counter: number, last: boolean): Buffer {
  const raw = hkdfSync('sha256', fileKey, Buffer.alloc(SALT_BYTES, 1), 'payload', 32);
  const nonce = Buffer.from(BigInt(counter).toString(16).padStart(22, '0') + (last ? '01' : '00'), 'hex');
  const cipher = createCipheriv('chacha20-poly1305', Buffer.from(raw), nonce, { authTagLength: 16 });
  return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
}
