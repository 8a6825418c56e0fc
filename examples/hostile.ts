/**
 * Models that a keep must survive. All but the malformed ones take `value` FP32 [N] like polarity, so that the same
 * request reaches them: `{"value": 3}`.
 */
import {
  bools,
  concat,
  elementTypes,
  floats,
  graph,
  int,
  int64s,
  message,
  model,
  node,
  tensor,
  text,
  value,
} from './onnx-writer.ts';
import { buildPolarity } from './polarity.ts';

const { BOOL, FLOAT, INT64 } = elementTypes;
const opsets = { '': 20 };
const input = value('value', FLOAT, ['N']);
const output = value('prediction', FLOAT, ['N']);

/** Never answers: a Loop of 2^62 rounds over a carried value. */
export function endlessLoop(): Uint8Array {
  const add = node('Add', { inputs: ['carried', 'nothing'], outputs: ['next'] });
  return model({
    opsets,
    graph: graph({
      name: 'endless-loop',
      inputs: [input],
      outputs: [output],
      initializers: [int64s('rounds', [], [2n ** 62n]), bools('go', [], [true]), floats('nothing', [], [0])],
      nodes: [loop({ state: 'value', output: 'prediction', shape: ['N'], steps: [add] })],
    }),
  });
}

/** Answers after `rounds` products of 128 × 128 matrices, each roughly 0.1 ms on one core. */
export function slow(rounds: number): Uint8Array {
  const scalar = { attributes: { keepdims: { int: 0 } } };
  const steps = [
    node('MatMul', { inputs: ['carried', 'carried'], outputs: ['product'] }),
    node('Clip', { inputs: ['product', 'low', 'high'], outputs: ['next'] }),
  ];
  return model({
    opsets,
    graph: graph({
      name: 'slow',
      inputs: [input],
      outputs: [output],
      initializers: [
        int64s('rounds', [], [rounds]),
        bools('go', [], [true]),
        int64s('square', [2], [128, 128]),
        floats('nothing', [], [0]),
        floats('low', [], [-1]),
        floats('high', [], [1]),
      ],
      nodes: [
        node('ReduceMax', { inputs: ['value'], outputs: ['largest'], ...scalar }),
        node('Expand', { inputs: ['largest', 'square'], outputs: ['matrix'] }),
        loop({ state: 'matrix', output: 'last', shape: [128, 128], steps }),
        node('ReduceMax', { inputs: ['last'], outputs: ['highest'], ...scalar }),
        node('Mul', { inputs: ['highest', 'nothing'], outputs: ['zeroed'] }),
        node('Add', { inputs: ['value', 'zeroed'], outputs: ['prediction'] }),
      ],
    }),
  });
}

/** Fills `gibibytes` × the largest `value` of the request with ones: the size is known at run time only. */
export function memoryHog(gibibytes = 1): Uint8Array {
  const elements = Math.round((gibibytes * 2 ** 30) / 4);
  return model({
    opsets,
    graph: graph({
      name: 'memory-hog',
      inputs: [input],
      outputs: [output],
      initializers: [
        int64s('elements', [1], [elements]),
        int64s('one', [1], [1]),
        int64s('vector', [1], [1]),
        floats('tiny', [1], [1e-30]),
      ],
      nodes: [
        node('Cast', { inputs: ['value'], outputs: ['whole'], attributes: { to: { int: INT64 } } }),
        node('ReduceMax', { inputs: ['whole'], outputs: ['largest'], attributes: { keepdims: { int: 0 } } }),
        node('Max', { inputs: ['largest', 'one'], outputs: ['units'] }),
        node('Mul', { inputs: ['units', 'elements'], outputs: ['size'] }),
        node('Reshape', { inputs: ['size', 'vector'], outputs: ['shape'] }),
        node('ConstantOfShape', {
          inputs: ['shape'],
          outputs: ['ones'],
          attributes: { value: { tensor: floats('', [1], [1]) } },
        }),
        node('ReduceSum', { inputs: ['ones'], outputs: ['sum'], attributes: { keepdims: { int: 0 } } }),
        node('Mul', { inputs: ['sum', 'tiny'], outputs: ['small'] }),
        node('Add', { inputs: ['value', 'small'], outputs: ['prediction'] }),
      ],
    }),
  });
}

/** Doubles a tensor for ever: memory grows step by step instead of at once. */
export function growingMemory(): Uint8Array {
  const inputs = ['rounds', 'go', 'value'];
  const body = graph({
    name: 'body',
    inputs: [value('round', INT64, []), value('continue', BOOL, []), value('carried', FLOAT, ['M'])],
    outputs: [value('again', BOOL, []), value('doubled', FLOAT, ['K'])],
    nodes: [
      node('Identity', { inputs: ['continue'], outputs: ['again'] }),
      node('Concat', {
        inputs: ['carried', 'carried'],
        outputs: ['doubled'],
        attributes: { axis: { int: 0 } },
      }),
    ],
  });
  return model({
    opsets,
    graph: graph({
      name: 'growing-memory',
      inputs: [input],
      outputs: [output],
      initializers: [int64s('rounds', [], [64]), bools('go', [], [true])],
      nodes: [node('Loop', { inputs, outputs: ['prediction'], attributes: { body: { graph: body } } })],
    }),
  });
}

/** Refuses at run time with an ordinary error: indexes beyond a table of one row. */
export function failsAtRun(): Uint8Array {
  return model({
    opsets,
    graph: graph({
      name: 'fails-at-run',
      inputs: [input],
      outputs: [output],
      initializers: [floats('table', [1], [0]), int64s('far', [1], [1000])],
      nodes: [
        node('Cast', { inputs: ['value'], outputs: ['whole'], attributes: { to: { int: INT64 } } }),
        node('Add', { inputs: ['whole', 'far'], outputs: ['index'] }),
        node('Gather', { inputs: ['table', 'index'], outputs: ['prediction'] }),
      ],
    }),
  });
}

/** A weight whose bytes lie in another file. */
export function externalData(location = '../../../etc/passwd'): Uint8Array {
  const entry = (key: string, content: string): Uint8Array =>
    message(13, concat([text(1, key), text(2, content)]));
  const outside = concat([
    entry('location', location),
    entry('offset', '0'),
    entry('length', '4'),
    int(14, 1),
  ]);
  return model({
    opsets,
    graph: graph({
      name: 'external-data',
      inputs: [input],
      outputs: [output],
      initializers: [tensor('outside', FLOAT, [1], outside)],
      nodes: [node('Add', { inputs: ['value', 'outside'], outputs: ['prediction'] })],
    }),
  });
}

/** An operator that only somebody's own runtime has. */
export function foreignOperator(domain = 'com.example.evil', operator = 'RunCommand'): Uint8Array {
  return model({
    opsets: { ...opsets, [domain]: 1 },
    graph: graph({
      name: 'foreign-operator',
      inputs: [input],
      outputs: [output],
      nodes: [node(operator, { inputs: ['value'], outputs: ['prediction'], domain })],
    }),
  });
}

/** A sound model cut off after `share` of its bytes. */
export function truncated(share = 0.6): Uint8Array {
  const whole = buildPolarity();
  return whole.subarray(0, Math.floor(whole.length * share));
}

/** Bytes that are no model at all, the same each time. */
export function garbage(bytes = 4096): Uint8Array {
  let state = 0x9e3779b9;
  return Uint8Array.from({ length: bytes }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** `levels` graphs, each inside an If of the one before. */
export function deeplyNested(levels: number): Uint8Array {
  let inner = graph({
    name: 'innermost',
    inputs: [],
    outputs: [output],
    nodes: [node('Identity', { inputs: ['value'], outputs: ['prediction'] })],
  });
  for (let level = 0; level < levels; level++) {
    const branches = { then_branch: { graph: inner }, else_branch: { graph: leaf } };
    inner = graph({
      name: `level-${level}`,
      inputs: level === levels - 1 ? [input] : [],
      outputs: [output],
      initializers: level === levels - 1 ? [bools('yes', [], [true])] : [],
      nodes: [node('If', { inputs: ['yes'], outputs: ['prediction'], attributes: branches })],
    });
  }
  return model({ opsets, graph: inner });
}

const leaf = graph({
  name: 'leaf',
  inputs: [],
  outputs: [output],
  nodes: [node('Identity', { inputs: ['value'], outputs: ['prediction'] })],
});

interface LoopParts {
  /** The tensor that enters the loop, and the one that leaves it. */
  readonly state: string;
  readonly output: string;
  readonly shape: readonly (number | string)[];
  /** From `carried` to `next`. */
  readonly steps: readonly Uint8Array[];
}

/** A Loop of `rounds` rounds, an initializer of the graph around it. */
function loop({ state, output: last, shape, steps }: LoopParts): Uint8Array {
  const body = graph({
    name: 'body',
    inputs: [value('round', INT64, []), value('continue', BOOL, []), value('carried', FLOAT, shape)],
    outputs: [value('again', BOOL, []), value('next', FLOAT, shape)],
    nodes: [node('Identity', { inputs: ['continue'], outputs: ['again'] }), ...steps],
  });
  const inputs = ['rounds', 'go', state];
  return node('Loop', { inputs, outputs: [last], attributes: { body: { graph: body } } });
}
