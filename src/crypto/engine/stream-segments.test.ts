import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { BATCH_CHUNKS } from '../age/payload.ts';
import { createStreamSegments } from './stream-segments.ts';
import type { StreamTask } from './stream-work.ts';

const SIZE = 1000;
const SEGMENT = BATCH_CHUNKS * SIZE;

test('whatever the pieces, the segments are the stream, and the end is marked', () => {
  for (const length of [0, 1, SIZE, SEGMENT - 1, SEGMENT, SEGMENT + 1, 3 * SEGMENT]) {
    const stream = randomBytes(length);
    for (const step of [1 + SIZE / 2, SIZE, SEGMENT, 10 * SEGMENT]) {
      for (const partial of [false, true]) {
        const tasks = cut(stream, step, partial);
        assert.ok(Buffer.concat(tasks.map(bytesOf)).equals(stream), `${length} bytes in pieces of ${step}`);
        let first = 0;
        for (const [index, task] of tasks.entries()) {
          const last = index === tasks.length - 1;
          assert.deepEqual([task.first, task.last], [first, last]);
          if (!last) assert.equal(task.bytes % SIZE, 0);
          if (!last || length === 0) assert.equal(task.bytes > 0, !last);
          first += task.bytes / SIZE;
        }
      }
    }
  }
});

test('a chunk that may be the last is held until more is seen', () => {
  const segments = createStreamSegments(SIZE);
  segments.fill(randomBytes(2 * SIZE));
  assert.equal(segments.take(false), undefined);
  assert.equal(segments.take(true)?.bytes, SIZE);
  assert.equal(segments.take(true), undefined);
  segments.end();
  assert.deepEqual(
    [segments.take(false)].map((task) => [task?.first, task?.bytes, task?.last]),
    [[1, SIZE, true]],
  );
});

test('of a huge piece no more is copied than a segment', () => {
  const segments = createStreamSegments(SIZE);
  const piece = randomBytes(5 * SEGMENT);
  const rest = segments.fill(piece);
  assert.equal(rest.length, 4 * SEGMENT);
  assert.equal(rest.buffer, piece.buffer);
  assert.equal(segments.take(false), undefined);
  assert.equal(segments.fill(rest), rest);
  assert.equal(segments.take(false)?.bytes, SEGMENT);
});

test('memory that comes back is used again', () => {
  const segments = createStreamSegments(SIZE);
  segments.fill(randomBytes(2 * SIZE));
  const { buffer } = segments.take(true) as StreamTask;
  segments.recycle(buffer);
  segments.fill(randomBytes(2 * SIZE));
  segments.take(true);
  segments.fill(randomBytes(SIZE));
  assert.equal(segments.take(true)?.buffer, buffer);
});

/** Copied, because memory is handed back at once. */
function cut(stream: Uint8Array, step: number, partial: boolean): StreamTask[] {
  const segments = createStreamSegments(SIZE);
  const tasks: StreamTask[] = [];
  const take = (): void => {
    const task = segments.take(partial);
    if (!task) return;
    tasks.push({ ...task, buffer: task.buffer.slice(0) });
    segments.recycle(task.buffer);
  };
  for (let at = 0; at < stream.length; at += step) {
    let piece: Uint8Array = stream.subarray(at, at + step);
    while (piece.length > 0) {
      piece = segments.fill(piece);
      take();
    }
  }
  segments.end();
  take();
  return tasks;
}

function bytesOf({ buffer, start, bytes }: StreamTask): Uint8Array {
  return new Uint8Array(buffer, start, bytes);
}
