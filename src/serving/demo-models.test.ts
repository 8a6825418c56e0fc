import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { inspectOnnx } from '../models/onnx/inspect.ts';
import type { Version } from '../models/version.ts';
import { formatPlain, parsePlain } from './plain.ts';
import { createPredictor, type Predictor } from './predictor.ts';
import { createTestingModels } from './testing-models.ts';

/** The committed model, with the signature that the registry reads from it. */
function serve(t: TestContext, model: string): { predictor: Predictor; version: Version } {
  const bytes = readFileSync(new URL(`../../examples/models/${model}.onnx`, import.meta.url));
  const inspection = inspectOnnx(bytes);
  assert.ok('facts' in inspection, 'the registry accepts it');
  const models = createTestingModels();
  const predictor = createPredictor({ models, clock: createManualClock(), log: silentLog });
  t.after(() => predictor.close());
  return { predictor, version: models.add({ model, bytes, signature: inspection.facts.signature }) };
}

async function predict({ predictor, version }: ReturnType<typeof serve>, body: unknown): Promise<unknown> {
  const request = parsePlain(version.signature, body, predictor.limits);
  const rows = await predictor.predictRows(version, request.rows);
  return JSON.parse(formatPlain(version.signature, rows, request));
}

describe('the demo models', () => {
  it('polarity answers the example of the tutorial', async (t) => {
    assert.deepEqual(await predict(serve(t, 'polarity'), { value: 3 }), { prediction: 'positive' });
  });

  it('iris knows a setosa and a virginica, and gives probabilities that add up', async (t) => {
    const iris = serve(t, 'iris');
    const body = { instances: [{ features: [5.1, 3.5, 1.4, 0.2] }, { features: [6.3, 3.3, 6, 2.5] }] };
    const { predictions } = (await predict(iris, body)) as {
      predictions: { species: string; probabilities: number[] }[];
    };
    assert.deepEqual(
      predictions.map(({ species }) => species),
      ['setosa', 'virginica'],
    );
    for (const { probabilities } of predictions) {
      assert.ok(Math.abs(probabilities.reduce((sum, one) => sum + one) - 1) < 1e-5);
    }
    assert.equal(iris.predictor.status()[0]?.runs, 1);
  });

  it('spam tells mails apart, in one run as one by one', async (t) => {
    const spam = serve(t, 'spam');
    const texts = [
      'Congratulations! Click here to claim your free money',
      'Re: [kernel] patch for the scheduler\nI have rebased the branch and the tests pass now, could you review it?',
    ];
    const together = (await predict(spam, { instances: texts.map((text) => ({ text })) })) as {
      predictions: { label: string }[];
    };
    assert.equal(spam.predictor.status()[0]?.runs, 1);
    assert.deepEqual(
      together.predictions.map(({ label }) => label),
      ['spam', 'ham'],
    );
    const alone = await Promise.all(texts.map((text) => predict(spam, { text })));
    assert.deepEqual(together.predictions, alone);
  });
});
