/**
 * Trains the demo models anew, writes examples/models/*.onnx and prints how well each does on data it has not seen.
 *
 *     node examples/train.ts              all three
 *     node examples/train.ts spam         one of them
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { trainIris } from './iris.ts';
import { buildPolarity, polarityOf } from './polarity.ts';
import { run } from './session.ts';
import { trainSpam } from './spam.ts';

interface Trained {
  readonly onnx: Uint8Array;
  /** Predictions on held-out data, by onnxruntime on the bytes that are written. */
  readonly rows: readonly { readonly expected: string; readonly predicted: string }[];
  /** What was trained on. */
  readonly data: string;
}

const trainers: Readonly<Record<string, () => Promise<Trained>>> = {
  async polarity() {
    const onnx = buildPolarity();
    const values = Float32Array.from({ length: 2001 }, (_, index) => (index - 1000) / 8);
    const { prediction } = await run(onnx, 'value', values, [values.length]);
    const rows = [...values].map((value, at) => ({
      expected: polarityOf(value),
      predicted: String(prediction?.data[at]),
    }));
    return { onnx, rows, data: 'a rule, not data' };
  },
  async iris() {
    const { onnx, train, heldOut } = trainIris();
    const features = Float32Array.from(heldOut.flatMap((flower) => flower.features));
    const { species } = await run(onnx, 'features', features, [heldOut.length, 4]);
    const rows = heldOut.map((flower, at) => ({
      expected: flower.species,
      predicted: String(species?.data[at]),
    }));
    return { onnx, rows, data: `${train.length} flowers` };
  },
  async spam() {
    const { onnx, train, heldOut } = trainSpam();
    const texts = heldOut.map(({ text }) => text);
    const { label } = await run(onnx, 'text', texts, [texts.length]);
    const rows = heldOut.map(({ spam }, at) => ({
      expected: spam ? 'spam' : 'ham',
      predicted: String(label?.data[at]),
    }));
    return { onnx, rows, data: `${train.length} mails` };
  },
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(trainers);
for (const name of names) {
  const train = trainers[name];
  if (train === undefined) {
    process.stderr.write(
      `train: error: there is no model ${name}; choose from ${Object.keys(trainers).join(', ')}\n`,
    );
    process.exit(2);
  }
  const started = performance.now();
  const { onnx, rows, data } = await train();
  writeFileSync(join(import.meta.dirname, 'models', `${name}.onnx`), onnx);
  const right = rows.filter(({ expected, predicted }) => expected === predicted).length;
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const digest = createHash('sha256').update(onnx).digest('hex');
  console.log(`${name}: ${((100 * right) / rows.length).toFixed(1)} % right on ${rows.length} held-out rows`);
  for (const [pair, count] of confusion(rows)) console.log(`  ${pair}: ${count}`);
  console.log(`  trained on ${data}, ${onnx.length} bytes, ${seconds} s, SHA-256 ${digest}`);
}

/** `expected → predicted`, and how often. */
function confusion(rows: Trained['rows']): readonly (readonly [string, number])[] {
  const pairs = Map.groupBy(rows, ({ expected, predicted }) => `${expected} → ${predicted}`);
  return [...pairs]
    .map(([pair, own]) => [pair, own.length] as const)
    .toSorted(([one], [other]) => (one < other ? -1 : 1));
}
