import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { DataType } from '../models/version.ts';
import { isElementFault, readElements, writeElements } from './elements.ts';

/** Per type: JSON values that it takes, as it writes them, and JSON values that it refuses. */
const TABLE: readonly (readonly [
  DataType,
  taken: readonly (readonly [unknown, string])[],
  refused: readonly unknown[],
])[] = [
  [
    'BOOL',
    [
      [true, 'true'],
      [false, 'false'],
    ],
    [1, 'true', null],
  ],
  [
    'UINT8',
    [
      [0, '0'],
      [255, '255'],
    ],
    [-1, 256, 1.5, '1', Number.NaN],
  ],
  ['UINT16', [[65_535, '65535']], [65_536]],
  ['UINT32', [[4_294_967_295, '4294967295']], [2 ** 32]],
  [
    'UINT64',
    [
      [5, '5'],
      ['18446744073709551615', '18446744073709551615'],
    ],
    [-1, '18446744073709551616', 2 ** 53, '1e3', '01'],
  ],
  [
    'INT8',
    [
      [-128, '-128'],
      [127, '127'],
    ],
    [-129, 128],
  ],
  ['INT16', [[-32_768, '-32768']], [32_768]],
  ['INT32', [[-2_147_483_648, '-2147483648']], [2_147_483_648, true]],
  [
    'INT64',
    [
      [Number.MAX_SAFE_INTEGER, '9007199254740991'],
      ['9007199254740993', '9007199254740993'],
      ['-9223372036854775808', '-9223372036854775808'],
    ],
    [2 ** 53, 0.5, '9223372036854775808', ''],
  ],
  [
    'FP16',
    [
      [0.5, '0.5'],
      [65_504, '65504'],
      [-2, '-2'],
    ],
    [65_520, Number.POSITIVE_INFINITY, '1'],
  ],
  [
    'FP32',
    [
      [1.5, '1.5'],
      [1e21, '1e+21'],
    ],
    [1e39, Number.NaN, null],
  ],
  [
    'FP64',
    [
      [0.1, '0.1'],
      [1e300, '1e+300'],
    ],
    [Number.NaN, Number.NEGATIVE_INFINITY, [1]],
  ],
  [
    'BYTES',
    [
      ['é"', '"é\\""'],
      ['', '""'],
    ],
    ['\ud800', 1, undefined],
  ],
];

describe('elements', () => {
  for (const [type, taken, refused] of TABLE) {
    it(`of ${type} are read within their range and written as they are`, () => {
      const read = readElements(
        type,
        taken.map(([value]) => value),
      );
      assert.ok(!isElementFault(read));
      const texts = writeElements(type, read);
      if (type === 'FP32')
        assert.deepEqual(
          texts?.map((text) => Math.fround(Number(text))),
          taken.map(([, text]) => Math.fround(Number(text))),
        );
      else
        assert.deepEqual(
          texts,
          taken.map(([, text]) => text),
        );
      for (const value of refused) {
        const fault = readElements(type, [...taken.map(([good]) => good), value]);
        assert.ok(isElementFault(fault), `${String(value)} is no ${type}`);
        assert.equal(fault.index, taken.length);
      }
    });
  }

  it('that are NaN or infinite have no text', () => {
    assert.equal(writeElements('FP32', Float32Array.of(1, Number.NaN)), undefined);
    assert.equal(writeElements('FP64', Float64Array.of(Number.POSITIVE_INFINITY)), undefined);
    assert.equal(writeElements('FP16', Uint16Array.of(0x7c00)), undefined);
  });
});
