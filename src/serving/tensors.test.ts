import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ModelSignature } from '../models/version.ts';
import { concatRows, hasRows, isBatchable, splitRows, type Tensor } from './tensors.ts';

function signature(
  inputs: readonly (number | string)[][],
  outputs: readonly (number | string)[][],
): ModelSignature {
  const specs = (shapes: readonly (number | string)[][]) =>
    shapes.map((shape, index) => ({ name: `t${index}`, type: 'FP32', shape }) as const);
  return { inputs: specs(inputs), outputs: specs(outputs) };
}

describe('batching', () => {
  it('is for models whose tensors share one open first dimension that looks like a batch', () => {
    for (const [inputs, outputs, expected] of [
      [[['N', 4]], [['N'], ['N', 3]], true],
      [[['batch_size', 4]], [['batch_size', 2]], true],
      [[[-1, 4]], [[-1]], true],
      [[['', 4]], [['unk__7', 1]], true],
      [[[-1]], [[-1]], false],
      [[['L']], [['L']], false],
      [[['sequence', 8]], [['sequence', 2]], false],
      [
        [
          ['N', 4],
          ['M', 4],
        ],
        [['N']],
        false,
      ],
      [[['N', 4]], [[3]], false],
      [[['N', 4]], [[]], false],
      [[[1, 4]], [[1]], false],
      [[], [['N']], false],
    ] as const) {
      assert.equal(
        isBatchable(signature(structuredClone(inputs) as never, structuredClone(outputs) as never)),
        expected,
        JSON.stringify([inputs, outputs]),
      );
    }
  });

  it('is not needed for a model to take rows', () => {
    assert.equal(hasRows(signature([[1, 4]], [[3]])), true);
    assert.equal(hasRows(signature([['L']], [['L']])), true);
    assert.equal(hasRows(signature([['N', 2], []], [['N']])), false);
    assert.equal(hasRows(signature([[4]], [[1]])), false);
  });

  it('gives each part back its own rows', () => {
    const part = (first: number, rows: number): readonly Tensor[] => [
      {
        name: 'x',
        type: 'FP32',
        shape: [rows, 2],
        data: Float32Array.from({ length: rows * 2 }, (_, i) => first + i),
      },
      {
        name: 's',
        type: 'BYTES',
        shape: [rows],
        data: Array.from({ length: rows }, (_, i) => `${first}.${i}`),
      },
    ];
    const parts = [part(0, 1), part(10, 3), part(20, 2)];
    const whole = concatRows(parts);
    assert.deepEqual(
      whole.map(({ shape }) => shape),
      [[6, 2], [6]],
    );
    assert.deepEqual(splitRows(whole, [1, 3, 2]), parts);
    assert.equal(splitRows(whole, [1, 3]), undefined);
  });
});
