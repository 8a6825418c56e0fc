import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import * as hostile from '../../../examples/hostile.ts';
import {
  concat,
  elementTypes,
  floats,
  graph,
  int,
  message,
  model,
  value,
} from '../../../examples/onnx-writer.ts';
import { buildPolarity } from '../../../examples/polarity.ts';
import { type ByteSource, FileWindow } from './file-window.ts';
import { inspectOnnx } from './inspect.ts';

/** A source that gives at most `size` bytes at a time, and writes down what it gave. */
function sourceOf(bytes: Uint8Array, size: number): ByteSource & { readonly given: [number, number][] } {
  const given: [number, number][] = [];
  return {
    length: bytes.length,
    given,
    read(offset) {
      const last = given.at(-1);
      assert.ok(last === undefined || offset >= last[0], 'an offset went back');
      const piece = bytes.subarray(offset, offset + size);
      given.push([offset, piece.length]);
      return piece;
    },
  };
}

const seeds = [
  buildPolarity(),
  hostile.endlessLoop(),
  hostile.externalData(),
  hostile.deeplyNested(40),
  hostile.truncated(),
  hostile.garbage(),
  Buffer.from("cos\nsystem\n(S'id'\ntR."),
  Buffer.from('\x02\0\0\0\0\0\0\0{}', 'latin1'),
];

test('a file gets the same judgement in pieces of any size as in one', () => {
  const change = fc.record({ at: fc.nat(4000), byte: fc.nat(255) });
  fc.assert(
    fc.property(
      fc.constantFrom(...seeds),
      fc.array(change, { maxLength: 3 }),
      fc.integer({ min: 1, max: 70 }),
      (seed, changes, size) => {
        const bytes = Uint8Array.from(seed);
        for (const { at, byte } of changes) bytes[at % bytes.length] = byte;
        assert.deepEqual(inspectOnnx(sourceOf(bytes, size)), inspectOnnx(bytes));
      },
    ),
    { numRuns: 500 },
  );
});

test('the numbers of a tensor are not asked for', () => {
  const weights = floats('w', [100_000], new Float32Array(100_000));
  const x = value('x', elementTypes.FLOAT, ['N']);
  const bytes = model({
    opsets: { '': 20 },
    graph: graph({ name: 'g', inputs: [x], outputs: [x], nodes: [], initializers: [weights, weights] }),
  });
  const source = sourceOf(bytes, 64);
  assert.equal(inspectOnnx(source).verdict, 'pass');
  const asked = source.given.reduce((sum, [, length]) => sum + length, 0);
  assert.ok(asked < 2000, `${asked} bytes of ${bytes.length}`);
});

test('a tensor that claims gigabytes is refused by the length of the file, without a byte of it', () => {
  const raw = concat([int(1, 2 ** 29), int(2, 1), Uint8Array.of(0x4a), int(0, 2 ** 31).subarray(1)]);
  const bytes = message(7, message(5, raw));
  assert.deepEqual(
    inspectOnnx(sourceOf(bytes, 16)).findings.map(({ rule }) => rule),
    ['malformed'],
  );
});

test('texts that lie in several pieces are put together, and offsets do not go back', () => {
  const bytes = Uint8Array.from({ length: 300 }, (_, at) => at % 251);
  const window = new FileWindow(sourceOf(bytes, 16));
  assert.equal(window.at(5), 5);
  assert.deepEqual([...(window.slice(10, 100) ?? [])], [...bytes.subarray(10, 100)]);
  assert.equal(window.at(299), 48);
  assert.equal(window.at(300), undefined);
  assert.deepEqual(window.slice(299, 299), new Uint8Array());
  assert.equal(window.slice(299, 301), undefined);
  assert.throws(() => window.at(4), RangeError);
});
