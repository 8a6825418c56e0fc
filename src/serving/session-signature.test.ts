import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { areOutputs, signatureDifference } from './session-signature.ts';
import { valueSignature } from './testing-models.ts';

const registered = valueSignature('FP32');
const value = { name: 'value', type: 'FP32', shape: ['N'] };
const prediction = { name: 'prediction', type: 'FP32', shape: ['N'] };

describe('a loaded session', () => {
  it('may know more than the registry, and must not contradict it', () => {
    for (const [inputs, outputs, expected] of [
      [[value], [prediction], undefined],
      [
        [{ ...value, shape: [7] }],
        [
          { ...prediction, shape: [] },
          { name: 'map', shape: [] },
        ],
        undefined,
      ],
      [[], [prediction], /input "value" is missing/],
      [[value, { ...value, name: 'more' }], [prediction], /input "more" is not registered/],
      [[{ ...value, type: 'INT64' }], [prediction], /input "value" is INT64, registered as FP32/],
      [[{ ...value, shape: ['N', 1] }], [prediction], /has the shape \[N,1\], registered as \[N\]/],
      [[value], [], /output "prediction" is missing/],
    ] as const) {
      const difference = signatureDifference(registered, { inputs, outputs });
      if (expected === undefined) assert.equal(difference, undefined);
      else assert.match(difference ?? '', expected);
    }
  });

  it('is believed only in outputs that are what they say', () => {
    const output = { name: 'prediction', type: 'FP32', shape: [2], data: new Float32Array(2) } as const;
    assert.equal(areOutputs(registered, [output]), true);
    for (const outputs of [
      [],
      [{ ...output, name: 'other' }],
      [{ ...output, type: 'INT32' as const }],
      [{ ...output, shape: [2 ** 40] }],
      [{ ...output, shape: [-1, -2] }],
      [{ ...output, data: ['a', 'b'] }],
    ]) {
      assert.equal(areOutputs(registered, outputs), false);
    }
  });
});
