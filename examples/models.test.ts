import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { inspectOnnx } from '../src/models/onnx/inspect.ts';
import * as hostile from './hostile.ts';
import { trainIris } from './iris.ts';
import { groupNearDuplicates } from './near-duplicates.ts';
import { buildPolarity, polarityOf } from './polarity.ts';
import { run } from './session.ts';
import { predictSpam, trainSpam } from './spam.ts';

const read = (name: string): Uint8Array => readFileSync(join(import.meta.dirname, 'models', `${name}.onnx`));

function signatureOf(name: string): unknown {
  const inspection = inspectOnnx(read(name));
  assert.equal(inspection.verdict, 'pass', JSON.stringify(inspection.findings));
  assert.deepEqual(inspection.findings, []);
  return inspection.verdict === 'pass' ? inspection.facts.signature : undefined;
}

describe('polarity', () => {
  test('is accepted with its signature', () => {
    assert.deepEqual(signatureOf('polarity'), {
      inputs: [{ name: 'value', type: 'FP32', shape: ['N'] }],
      outputs: [{ name: 'prediction', type: 'BYTES', shape: ['N'] }],
    });
  });

  test('says positive above zero and negative otherwise', async () => {
    const values = [3, 0, -0, -2.5, 1e-30, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
    const { prediction } = await run(read('polarity'), 'value', Float32Array.from(values), [values.length]);
    assert.deepEqual(prediction?.data, values.map(polarityOf));
    assert.equal(prediction?.data[0], 'positive');
    assert.equal(prediction?.data[1], 'negative');
  });

  test('is built to the same bytes again', () => {
    assert.deepEqual(Buffer.from(buildPolarity()), read('polarity'));
  });
});

describe('iris', () => {
  test('is accepted with its signature', () => {
    assert.deepEqual(signatureOf('iris'), {
      inputs: [{ name: 'features', type: 'FP32', shape: ['N', 4] }],
      outputs: [
        { name: 'species', type: 'BYTES', shape: ['N'] },
        { name: 'probabilities', type: 'FP32', shape: ['N', 3] },
      ],
    });
  });

  test('trains to the same bytes again, and knows nine of ten flowers it has not seen', async () => {
    const { onnx, heldOut } = trainIris();
    assert.deepEqual(Buffer.from(onnx), read('iris'));
    const features = Float32Array.from(heldOut.flatMap((flower) => flower.features));
    const { species, probabilities } = await run(onnx, 'features', features, [heldOut.length, 4]);
    const right = heldOut.filter((flower, at) => flower.species === species?.data[at]).length;
    assert.ok(right >= 27, `${right} of ${heldOut.length}`);
    const first = [0, 1, 2].map((at) => Number(probabilities?.data[at]));
    assert.ok(Math.abs(first.reduce((sum, share) => sum + share, 0) - 1) < 1e-5);
  });
});

describe('spam', () => {
  test('is accepted with its signature', () => {
    assert.deepEqual(signatureOf('spam'), {
      inputs: [{ name: 'text', type: 'BYTES', shape: ['N'] }],
      outputs: [
        { name: 'label', type: 'BYTES', shape: ['N'] },
        { name: 'probability', type: 'FP32', shape: ['N'] },
      ],
    });
  });

  test('reads raw text, any number of rows, empty ones too', async () => {
    const texts = [
      'Congratulations! You are a winner. Click here to claim your free money, no risk, order now!!!',
      'Re: kernel panic\nI think the patch is wrong, and it does not build here with gcc either.',
      '',
    ];
    const { label, probability } = await run(read('spam'), 'text', texts, [3]);
    assert.deepEqual(label?.data, ['spam', 'ham', 'ham']);
    assert.equal(probability?.dims.length, 1);
    const alone = await run(read('spam'), 'text', [''], [1]);
    assert.deepEqual(alone['label']?.data, ['ham']);
  });

  test('keeps its memory in proportion to the text', async () => {
    const text = `${'a\n'.repeat(20_000)} ${'b '.repeat(20_000)}`;
    const before = process.memoryUsage().rss;
    await run(read('spam'), 'text', [text], [1]);
    assert.ok(process.memoryUsage().rss - before < 200 * 2 ** 20);
  });

  test('the graph computes what the training computes, and 97 % of the held-out mails come out right', async () => {
    const { onnx, model, train, heldOut } = trainSpam();
    assert.deepEqual(Buffer.from(onnx), read('spam'));
    const texts = heldOut.map(({ text }) => text);
    const { label, probability } = await run(onnx, 'text', texts, [texts.length]);
    const right = heldOut.filter(({ spam }, at) => (label?.data[at] === 'spam') === spam).length;
    assert.ok(right / heldOut.length >= 0.97, `${right} of ${heldOut.length}`);
    for (const [at, text] of texts.entries()) {
      assert.ok(Math.abs(Number(probability?.data[at]) - predictSpam(model, text)) < 1e-4);
    }
    const groups = groupNearDuplicates([...train, ...heldOut].map(({ text }) => text));
    assert.equal(new Set(groups).size, groups.length);
  });
});

describe('hostile models', () => {
  test('those that only show at run time pass the inspection, a loop with a warning', () => {
    for (const bytes of [hostile.memoryHog(), hostile.failsAtRun()]) {
      assert.equal(inspectOnnx(bytes).verdict, 'pass');
    }
    for (const bytes of [hostile.endlessLoop(), hostile.slow(3), hostile.growingMemory()]) {
      const { verdict, findings } = inspectOnnx(bytes);
      assert.equal(verdict, 'pass');
      assert.deepEqual(
        findings.map(({ rule }) => rule),
        ['loop'],
      );
    }
  });

  test('they are sound for the runtime: a short loop ends, a small hog fits, a bad index fails', async () => {
    const value = Float32Array.from([0.5]);
    const { prediction } = await run(hostile.slow(3), 'value', value, [1]);
    assert.equal(prediction?.data[0], 0.5);
    const hog = await run(hostile.memoryHog(1 / 1024), 'value', value, [1]);
    assert.equal(hog['prediction']?.data[0], 0.5);
    await assert.rejects(run(hostile.failsAtRun(), 'value', value, [1]), /out of data bounds/);
  });
});
