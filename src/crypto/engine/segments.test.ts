import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import {
  CHUNK_BYTES,
  payloadKey,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunks,
  splitChunks,
} from '../age/payload.ts';
import { cryptoProblems } from '../problems.ts';
import {
  createSegmentRunner,
  type PayloadPlan,
  type PositionalFile,
  SEGMENT_CHUNKS,
  segmentCount,
  segmentStart,
} from './segments.ts';

const key = payloadKey(Buffer.alloc(16, 3), Buffer.alloc(SALT_BYTES));
const SEGMENT = SEGMENT_CHUNKS * CHUNK_BYTES;

test('reads and writes that stop short are continued where they stopped', () => {
  const plaintext = randomBytes(17 * CHUNK_BYTES + 77);
  const expected = Buffer.concat(sealChunks(key, 0, splitChunks(plaintext, CHUNK_BYTES), true));
  for (const step of [9973, 65_551, 2 ** 20 - 1]) {
    const sealed = memoryFile(step);
    run(
      { direction: 'seal', inputStart: 0, outputStart: 200, inputBytes: plaintext.length },
      memoryFile(step, plaintext),
      sealed,
    );
    assert.ok(sealed.content().subarray(200).equals(expected), `pieces of ${step}`);
    const opened = memoryFile(step);
    const plan = { direction: 'open', inputStart: 200, outputStart: 0, inputBytes: expected.length } as const;
    run(plan, sealed, opened);
    assert.ok(opened.content().equals(plaintext), `pieces of ${step}`);
  }
});

test('an input that shrank is told, and so is one that cannot be read', () => {
  const plan = { direction: 'seal', inputStart: 0, outputStart: 0, inputBytes: 100_000 } as const;
  assert.throws(
    () => run(plan, memoryFile(1000, randomBytes(99_999)), memoryFile(1000)),
    (error) => isProblem(error, cryptoProblems.input_unreadable) && /shorter/.test(error.detail),
  );
  const broken: PositionalFile = {
    ...memoryFile(1),
    read() {
      throw Object.assign(new Error('i/o error'), { code: 'EIO' });
    },
  };
  assert.throws(
    () => run(plan, broken, memoryFile(1000)),
    (error) => isProblem(error, cryptoProblems.input_unreadable) && /EIO/.test(error.detail),
  );
});

test('a file that takes nothing more ends the work instead of turning for ever', () => {
  const plan = { direction: 'seal', inputStart: 0, outputStart: 0, inputBytes: 10 } as const;
  const full: PositionalFile = { ...memoryFile(1), write: () => 0 };
  assert.throws(() => run(plan, memoryFile(10, randomBytes(10)), full), /no more data/);
});

test('places beyond 2 and 4 GiB are exact, and so are their counters', () => {
  for (const gibibytes of [2, 4, 5000]) {
    const inputBytes = gibibytes * 2 ** 30 + SEGMENT + 5;
    const plan: PayloadPlan = { direction: 'seal', inputStart: 0, outputStart: 216, inputBytes };
    const last = segmentCount(plan) - 1;
    assert.equal(segmentStart(plan, last), gibibytes * 2 ** 30 + SEGMENT);
    assert.equal(segmentStart(plan, last + 1), inputBytes);
    const places: number[] = [];
    const written: Buffer[] = [];
    const runner = createSegmentRunner({
      plan,
      key,
      input: {
        read(buffer, offset, length, position) {
          places.push(position);
          buffer.fill(9, offset, offset + length);
          return length;
        },
      },
      output: {
        write(pieces, position) {
          places.push(position);
          written.push(...pieces.map((piece) => Buffer.from(piece)));
          return pieces.reduce((sum, piece) => sum + piece.length, 0);
        },
      },
    });
    assert.equal(runner.run(last), undefined);
    const chunk = (inputBytes - 5) / CHUNK_BYTES;
    assert.deepEqual(places, [inputBytes - 5, 216 + chunk * SEALED_CHUNK_BYTES]);
    const expected = Buffer.concat(sealChunks(key, chunk, [Buffer.alloc(5, 9)], true));
    assert.ok(Buffer.concat(written).equals(expected));
  }
});

test('of a segment with a bad chunk nothing is written, and the chunk is named', () => {
  const chunks = Array.from({ length: 20 }, () => randomBytes(CHUNK_BYTES));
  const sealed = Buffer.concat(sealChunks(key, 0, chunks, true));
  sealed[18 * SEALED_CHUNK_BYTES] = (sealed[18 * SEALED_CHUNK_BYTES] as number) ^ 1;
  sealed[19 * SEALED_CHUNK_BYTES] = (sealed[19 * SEALED_CHUNK_BYTES] as number) ^ 1;
  const output = memoryFile(2 ** 20);
  const plan = { direction: 'open', inputStart: 0, outputStart: 0, inputBytes: sealed.length } as const;
  const runner = createSegmentRunner({ plan, key, input: memoryFile(2 ** 20, sealed), output });
  const bad = Math.floor(18 / SEGMENT_CHUNKS);
  for (let segment = 0; segment < bad; segment++) assert.equal(runner.run(segment), undefined);
  assert.equal(runner.run(bad)?.chunk, 18);
  assert.equal(output.content().length, bad * SEGMENT);
});

function run(plan: PayloadPlan, input: PositionalFile, output: PositionalFile): void {
  const runner = createSegmentRunner({ plan, key, input, output });
  // Backwards: the order is free.
  for (let segment = segmentCount(plan) - 1; segment >= 0; segment--)
    assert.equal(runner.run(segment), undefined);
}

/** A file in memory whose calls handle at most `step` bytes. */
function memoryFile(
  step: number,
  start: Uint8Array = Buffer.alloc(0),
): PositionalFile & { content(): Buffer } {
  const bytes = Buffer.alloc(4 * 2 ** 20);
  bytes.set(start);
  let size = start.length;
  return {
    content: () => bytes.subarray(0, size),
    read(buffer, offset, length, position) {
      const part = bytes.subarray(position, Math.min(size, position + Math.min(length, step)));
      buffer.set(part, offset);
      return part.length;
    },
    write(pieces, position) {
      let left = step;
      let at = position;
      for (const piece of pieces) {
        const part = piece.subarray(0, left);
        bytes.set(part, at);
        at += part.length;
        left -= part.length;
        if (left === 0) break;
      }
      size = Math.max(size, at);
      return at - position;
    },
  };
}
