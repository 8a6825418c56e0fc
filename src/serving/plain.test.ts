import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import type { ModelSignature } from '../models/version.ts';
import { formatPlain, parsePlain } from './plain.ts';
import { servingProblems } from './problems.ts';
import type { Tensor } from './tensors.ts';
import { valueSignature } from './testing-models.ts';

const limits = { instancesMax: 3 };
const iris: ModelSignature = {
  inputs: [{ name: 'features', type: 'FP32', shape: ['N', 4] }],
  outputs: [
    { name: 'species', type: 'BYTES', shape: ['N'] },
    { name: 'probabilities', type: 'FP32', shape: ['N', 3] },
    { name: 'score', type: 'FP64', shape: ['N', 1] },
    { name: 'found', type: 'INT64', shape: ['N', 'K'] },
  ],
};
const words: ModelSignature = {
  inputs: [
    { name: 'tokens', type: 'BYTES', shape: ['N', 'L'] },
    { name: 'weights', type: 'FP32', shape: ['N', 'L'] },
    { name: 'flag', type: 'BOOL', shape: ['N', 1] },
  ],
  outputs: [],
};
const whole: ModelSignature = { inputs: [{ name: 'x', type: 'INT32', shape: [2, 2] }], outputs: [] };

describe('the plain protocol', () => {
  it('reads one row, each input without its batch dimension', () => {
    assert.deepEqual(parsePlain(valueSignature('BYTES'), { value: 3 }, limits), {
      many: false,
      rows: [[{ name: 'value', type: 'FP32', shape: [1], data: Float32Array.of(3) }]],
    });
    const { rows } = parsePlain(words, { weights: [0.5, 1], tokens: ['a', 'b'], flag: true }, limits);
    assert.deepEqual(
      rows[0]?.map(({ name, shape }) => [name, ...shape]),
      [
        ['tokens', 1, 2],
        ['weights', 1, 2],
        ['flag', 1, 1],
      ],
    );
  });

  it('reads instances, and whole tensors where a model has no rows', () => {
    const { rows, many } = parsePlain(
      iris,
      { instances: [{ features: [1, 2, 3, 4] }, { features: [5, 6, 7, 8] }] },
      limits,
    );
    assert.deepEqual([many, rows.length, rows[1]?.[0]?.shape], [true, 2, [1, 4]]);
    assert.deepEqual(
      parsePlain(
        whole,
        {
          x: [
            [1, 2],
            [3, 4],
          ],
        },
        limits,
      ).rows[0]?.[0]?.data,
      Int32Array.of(1, 2, 3, 4),
    );
  });

  it('names what is wrong, and never the value', () => {
    for (const [signature, body, detail] of [
      [iris, undefined, /the body must be a JSON object of inputs by name, not nothing/],
      [iris, [1], /not an array/],
      [iris, {}, /missing "features"; the model takes "features" \(FP32\)/],
      [iris, { features: [1, 2, 3, 4], colour: 'red' }, /unknown "colour"/],
      [iris, { features: [1, 2, 3] }, /input "features" has 3 elements in dimension 0, where 4 are expected/],
      [iris, { features: 1 }, /must be nested 1 deep; at depth 0 there is/],
      [
        iris,
        { features: [1, 2, 'secret', 4] },
        /input "features", element 2, must be a number within the range of FP32, not a string/,
      ],
      [iris, { features: [1, 2, Number.NaN, 4] }, /element 2, must be a number/],
      [
        iris,
        { features: [1, 2, [3], 4] },
        /element 2, must be a number within the range of FP32, not an array/,
      ],
      [iris, { instances: [] }, /"instances" is empty/],
      [iris, { instances: {} }, /"instances" must be an array/],
      [iris, { instances: [{}, {}, {}, {}] }, /4 rows, where 3 are the most/],
      [iris, { instances: [{ features: [1, 2, 3, 4] }, { features: 'x' }] }, /instance 1: input "features"/],
      [iris, { instances: [{ features: [1, 2, 3, 4] }], features: [1, 2, 3, 4] }, /"instances" stands alone/],
      [
        words,
        { tokens: ['a', 'b'], weights: [1], flag: true },
        /"tokens" and "weights" differ in the dimension L: 2 and 1/,
      ],
      [whole, { x: [[1, 2], [3]] }, /1 elements in dimension 1, where 2/],
      [
        whole,
        {
          x: [
            [1, 2],
            [3, 4.5],
          ],
        },
        /integer from -2147483648/,
      ],
    ] as const) {
      assert.throws(
        () => parsePlain(signature, body, limits),
        (error) => {
          assert.ok(isProblem(error, servingProblems.invalid_input));
          assert.match(error.detail, detail);
          assert.doesNotMatch(error.detail, /secret/);
          return true;
        },
      );
    }
  });

  it('answers without the batch dimension and those fixed at 1, and keeps open ones', () => {
    const outputs: readonly Tensor[] = [
      { name: 'species', type: 'BYTES', shape: [1], data: ['setosa'] },
      { name: 'probabilities', type: 'FP32', shape: [1, 3], data: Float32Array.of(0.5, 0.25, 0.25) },
      { name: 'score', type: 'FP64', shape: [1, 1], data: Float64Array.of(0.9) },
      { name: 'found', type: 'INT64', shape: [1, 1], data: BigInt64Array.of(9_007_199_254_740_993n) },
    ];
    const row = '{"species":"setosa","probabilities":[0.5,0.25,0.25],"score":0.9,"found":[9007199254740993]}';
    assert.equal(formatPlain(iris, [outputs], { many: false }), row);
    assert.equal(formatPlain(iris, [outputs, outputs], { many: true }), `{"predictions":[${row},${row}]}`);
  });

  it('does not answer with what JSON cannot carry', () => {
    const outputs: readonly Tensor[] = [
      { name: 'prediction', type: 'FP32', shape: [1], data: Float32Array.of(Number.NaN) },
    ];
    assert.throws(
      () => formatPlain(valueSignature('FP32'), [outputs], { many: false }),
      (error) => isProblem(error, servingProblems.unusable_output),
    );
  });
});
