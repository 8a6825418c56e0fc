import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import type { ModelSignature } from '../models/version.ts';
import { describeModel, formatInfer, inferRequest, parseInfer, selectOutputs } from './oip.ts';
import { servingProblems } from './problems.ts';
import { createTestingModels } from './testing-models.ts';

const signature: ModelSignature = {
  inputs: [
    { name: 'x', type: 'FP32', shape: ['N', 2] },
    { name: 'tag', type: 'BYTES', shape: ['N'] },
  ],
  outputs: [
    { name: 'label', type: 'BYTES', shape: ['N'] },
    { name: 'count', type: 'INT64', shape: ['N', -1] },
  ],
};
const tag = { name: 'tag', shape: [2], datatype: 'BYTES', data: ['a', 'b'] };
const x = { name: 'x', shape: [2, 2], datatype: 'FP32', data: [1, 2, 3, 4] };
const version = createTestingModels().add({ model: 'm', bytes: new Uint8Array(), signature });

describe('the Open Inference Protocol', () => {
  it('reads flat and nested data alike, in any order of inputs', () => {
    const flat = parseInfer(signature, inferRequest.parse({ inputs: [x, tag] }));
    const nested = parseInfer(
      signature,
      inferRequest.parse({
        inputs: [
          tag,
          {
            ...x,
            data: [
              [1, 2],
              [3, 4],
            ],
          },
        ],
      }),
    );
    assert.deepEqual(flat, nested);
    assert.deepEqual(flat[0], { name: 'x', type: 'FP32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) });
  });

  it('names what is wrong', () => {
    const { invalid_input: invalid, binary_tensors: binary } = servingProblems;
    for (const [inputs, problem, detail] of [
      [[x], invalid, /missing "tag"/],
      [[x, x, tag], invalid, /repeated "x"/],
      [[{ ...x, datatype: 'FP64' }, tag], invalid, /input "x" is FP32, not FP64/],
      [[{ ...x, datatype: '<b>' }, tag], invalid, /not what datatype says/],
      [[{ ...x, shape: [2, 3] }, tag], invalid, /4 elements, where the shape \[2,3\] needs 6/],
      [[{ ...x, shape: [4, 1] }, tag], invalid, /shape \[4,1\], where \[N,2\] is expected/],
      [[{ ...x, shape: [1, 4] }, tag], invalid, /shape \[1,4\]/],
      [[{ ...x, shape: [-2, -2] }, tag], invalid, /not a list of sizes/],
      [
        [
          { ...x, shape: [0, 2], data: [] },
          { ...tag, shape: [0], data: [] },
        ],
        invalid,
        /"x" is empty/,
      ],
      [[{ ...x, shape: [1, 2], data: [1, 2] }, tag], invalid, /differ in the dimension N: 1 and 2/],
      [[{ ...x, data: [[1, 2], [3]] }, tag], invalid, /1 elements in dimension 1/],
      [[{ ...x, data: undefined }, tag], invalid, /needs its elements as an array/],
      [[{ ...x, parameters: { binary_data_size: 16 } }, tag], binary, /binary_data_size/],
      [[{ ...x, parameters: { shared_memory_region: 'r' } }, tag], binary, /shared_memory_region/],
    ] as readonly [unknown[], ProblemDefinition, RegExp][]) {
      assert.throws(
        () => parseInfer(signature, inferRequest.parse({ inputs })),
        (error) => isProblem(error, problem) && detail.test(error.detail),
        String(detail),
      );
    }
  });

  it('selects outputs by name and in the order asked', () => {
    const select = (...names: string[]): readonly string[] =>
      selectOutputs(signature, inferRequest.parse({ inputs: [], outputs: names.map((name) => ({ name })) }));
    assert.deepEqual(select('count', 'label'), ['count', 'label']);
    assert.deepEqual(select(), ['label', 'count']);
    assert.throws(() => select('nope'), /unknown "nope"; the model gives "label", "count"/);
  });

  it('echoes the id, and writes every digit of INT64', () => {
    const outputs = [
      { name: 'count', type: 'INT64', shape: [1, 2], data: BigInt64Array.of(2n ** 62n, -1n) },
      { name: 'label', type: 'BYTES', shape: [1], data: ['a"b'] },
    ] as const;
    assert.equal(
      formatInfer({ name: 'fraud.m', version, id: '42' }, outputs),
      '{"model_name":"fraud.m","model_version":"1","id":"42","outputs":[' +
        '{"name":"count","datatype":"INT64","shape":[1,2],"data":[4611686018427387904,-1]},' +
        '{"name":"label","datatype":"BYTES","shape":[1],"data":["a\\"b"]}]}',
    );
    assert.doesNotMatch(formatInfer({ name: 'm', version, id: undefined }, []), /"id"/);
  });

  it('describes a model with -1 for open dimensions', () => {
    assert.deepEqual(describeModel('m', version), {
      name: 'm',
      versions: ['1'],
      platform: 'onnxruntime_onnx',
      inputs: [
        { name: 'x', datatype: 'FP32', shape: [-1, 2] },
        { name: 'tag', datatype: 'BYTES', shape: [-1] },
      ],
      outputs: [
        { name: 'label', datatype: 'BYTES', shape: [-1] },
        { name: 'count', datatype: 'INT64', shape: [-1, -1] },
      ],
    });
  });
});
