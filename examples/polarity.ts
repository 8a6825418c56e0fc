import { elementTypes, floats, graph, model, node, value } from './onnx-writer.ts';

/** The tutorial's toy: `value > 0` is "positive", anything else (0 and NaN included) is "negative". */
export function buildPolarity(): Uint8Array {
  return model({
    opsets: { '': 20, 'ai.onnx.ml': 3 },
    metadata: { name: 'polarity', license: 'Apache-2.0' },
    graph: graph({
      name: 'polarity',
      inputs: [value('value', elementTypes.FLOAT, ['N'])],
      outputs: [value('prediction', elementTypes.STRING, ['N'])],
      initializers: [floats('zero', [1], [0])],
      nodes: [
        node('Greater', { inputs: ['value', 'zero'], outputs: ['above'] }),
        node('Cast', {
          inputs: ['above'],
          outputs: ['class'],
          attributes: { to: { int: elementTypes.INT64 } },
        }),
        node('LabelEncoder', {
          inputs: ['class'],
          outputs: ['prediction'],
          domain: 'ai.onnx.ml',
          attributes: {
            keys_int64s: { ints: [0, 1] },
            values_strings: { strings: ['negative', 'positive'] },
            default_string: { string: 'negative' },
          },
        }),
      ],
    }),
  });
}

/** The rule itself, to compare the model with. */
export function polarityOf(number: number): 'positive' | 'negative' {
  return number > 0 ? 'positive' : 'negative';
}
