import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isNearBoundary } from './boundary.ts';
import { answerPrediction } from './prediction.ts';
import type { Tensor } from './tensors.ts';

const table = (...rows: readonly (readonly number[])[]): Tensor => ({
  name: 'probabilities',
  type: 'FP32',
  shape: [rows.length, rows[0]?.length ?? 0],
  data: Float32Array.from(rows.flat()),
});

const near = (...outputs: readonly Tensor[]): boolean => isNearBoundary([outputs]);

describe('an answer near the boundary', () => {
  it('has its two likeliest classes less than 0.05 apart', () => {
    assert.equal(near(table([0.51, 0.49])), true);
    assert.equal(near(table([0.53, 0.47])), false);
    assert.equal(near(table([0.1, 0.44, 0.02, 0.44])), true);
    assert.equal(near(table([0.9, 0.05, 0.05])), false);
    const data = Float64Array.of(0.49, 0.51);
    assert.equal(near({ name: 'p', type: 'FP64', shape: [2], data }), true);
  });

  it('is a batch of which three rows in ten are, not one with a hard row', () => {
    const rows = (hard: number) =>
      Array.from({ length: 10 }, (_, at) => (at < hard ? [0.5, 0.5] : [0.99, 0.01]));
    assert.equal(near(table(...rows(2))), false);
    assert.equal(near(table(...rows(3))), true);
  });

  it('is counted over all runs that a request took', () => {
    const runs = (hard: number) =>
      Array.from({ length: 10 }, (_, at) => [table(at < hard ? [0.5, 0.5] : [0.99, 0.01])]);
    assert.equal(isNearBoundary(runs(2)), false);
    assert.equal(isNearBoundary(runs(3)), true);
  });

  it('is found beside other outputs', () => {
    const label: Tensor = { name: 'label', type: 'INT64', shape: [1], data: BigInt64Array.of(1n) };
    assert.equal(near(label, table([0.5, 0.5])), true);
    assert.equal(near(label), false);
  });

  it('is none of what is no probability', () => {
    for (const row of [[0.5, 0.4], [0.6, 0.6], [1.5, -0.5], [Number.NaN, 1], [0.5], []])
      assert.equal(near(table(row)), false, String(row));
    assert.equal(near(table([0.5, 0.5], [3, 4])), false);
    const texts: Tensor = { name: 't', type: 'BYTES', shape: [1, 2], data: ['0.5', '0.5'] };
    assert.equal(near(texts), false);
    assert.equal(near(table([0.5, 0.5], ...Array.from({ length: 2048 }, () => [0.5, 0.5]))), false);
  });
});

describe('an entry of a prediction', () => {
  const bytes = Buffer.from('{"value":3}');
  const version = {
    project: 'p',
    model: 'score',
    number: 3,
    digest: 'd',
  } as Parameters<typeof answerPrediction>[1]['version'];
  const answer = async (outputs: readonly Tensor[], tagInput?: (bytes: Uint8Array) => string) => {
    const details: unknown[] = [];
    const call = {
      note(facts: { readonly detail?: unknown }) {
        if (facts.detail !== undefined) details.push(facts.detail);
      },
    };
    const commit = () => ({ nonce: new Uint8Array(16), commitment: '' }) as never;
    const marking = { commit, call, ...(tagInput && { tagInput }) };
    await answerPrediction(marking, { version, bytes }, async (look) => {
      look([outputs]);
      return 'text';
    });
    return details;
  };

  it('tells an answer near the boundary, and of any other nothing', async () => {
    const tag = () => 'tag';
    assert.deepEqual(await answer([table([0.5, 0.5])], tag), [{ inputTag: 'tag' }, { nearBoundary: true }]);
    assert.deepEqual(await answer([table([0.9, 0.1])], tag), [{ inputTag: 'tag' }]);
  });

  it('tells nothing where detections are off', async () => {
    assert.deepEqual(await answer([table([0.5, 0.5])]), []);
  });
});
