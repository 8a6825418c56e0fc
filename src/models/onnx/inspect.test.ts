import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as hostile from '../../../examples/hostile.ts';
import {
  concat,
  elementTypes,
  floats,
  graph,
  int,
  message,
  model,
  node,
  tensor,
  text,
  value,
} from '../../../examples/onnx-writer.ts';
import { buildPolarity } from '../../../examples/polarity.ts';
import { type Inspection, inspectOnnx } from './inspect.ts';
import { onnxLimits } from './model.ts';

const { FLOAT } = elementTypes;
const input = value('x', FLOAT, ['N']);
const output = value('y', FLOAT, ['N']);
const identity = node('Identity', { inputs: ['x'], outputs: ['y'] });
const opsets = { '': 20 };

interface Parts {
  readonly inputs?: readonly Uint8Array[];
  readonly outputs?: readonly Uint8Array[];
  readonly nodes?: readonly Uint8Array[];
  readonly initializers?: readonly Uint8Array[];
}

function small({
  inputs = [input],
  outputs = [output],
  nodes = [identity],
  initializers = [],
}: Parts = {}): Uint8Array {
  return model({ opsets, graph: graph({ name: 'g', inputs, outputs, nodes, initializers }) });
}

function rules({ findings }: Inspection): string[] {
  return findings.map(({ severity, rule }) => `${severity} ${rule}`);
}

const blocks = (bytes: Uint8Array, rule: string): void => {
  const inspection = inspectOnnx(bytes);
  assert.equal(inspection.verdict, 'block');
  assert.ok(rules(inspection).includes(`block ${rule}`), JSON.stringify(inspection.findings));
};

describe('what a model says about itself', () => {
  test('inputs are those that no initializer fills, and outputs, with types and shapes', () => {
    const scalar = value('temperature', elementTypes.INT64, []);
    const open = message(2, message(1, concat([int(1, 11)]))); // DOUBLE, no shape
    const inspection = inspectOnnx(
      small({
        inputs: [value('x', FLOAT, ['N', 3, -1]), value('w', FLOAT, [1]), scalar],
        outputs: [concat([text(1, 'y'), open])],
        initializers: [floats('w', [1], [1])],
      }),
    );
    assert.equal(inspection.verdict, 'pass');
    assert.deepEqual(inspection.verdict === 'pass' && inspection.facts.signature, {
      inputs: [
        { name: 'x', type: 'FP32', shape: ['N', 3, -1] },
        { name: 'temperature', type: 'INT64', shape: [] },
      ],
      outputs: [{ name: 'y', type: 'FP64', shape: [-1] }],
    });
  });

  test('operators are counted, those of branches too', () => {
    const inspection = inspectOnnx(hostile.deeplyNested(2));
    assert.deepEqual(inspection.verdict === 'pass' && inspection.facts.operators, { Identity: 3, If: 2 });
  });

  test('every element type that can be served has its name in the protocol', () => {
    const served = Array.from({ length: 26 }, (_, type) => type).flatMap((type) => {
      const elements = type as typeof FLOAT;
      const inspection = inspectOnnx(small({ inputs: [value('x', elements, [1])] }));
      return inspection.verdict === 'pass' ? [inspection.facts.signature.inputs[0]?.type] : [];
    });
    assert.deepEqual(served, [
      'FP32',
      'UINT8',
      'INT8',
      'UINT16',
      'INT16',
      'INT32',
      'INT64',
      'BYTES',
      'BOOL',
      'FP16',
      'FP64',
      'UINT32',
      'UINT64',
    ]);
  });
});

describe('what is refused', () => {
  test('external data: in an initializer, an attribute, a sparse tensor, a subgraph, even marked and empty', () => {
    blocks(hostile.externalData(), 'external_data');
    blocks(hostile.externalData('weights.bin'), 'external_data');
    const outside = tensor('w', FLOAT, [1], int(14, 1));
    const constant = node('Constant', {
      inputs: [],
      outputs: ['y'],
      attributes: { value: { tensor: outside } },
    });
    blocks(small({ nodes: [constant] }), 'external_data');
    const sparse = message(15, concat([message(1, outside)]));
    blocks(
      model({
        opsets,
        graph: concat([graph({ name: 'g', inputs: [input], outputs: [output], nodes: [] }), sparse]),
      }),
      'external_data',
    );
    const branch = graph({ name: 'b', inputs: [], outputs: [output], nodes: [constant] });
    const branches = { then_branch: { graph: branch }, else_branch: { graph: branch } };
    blocks(
      small({ nodes: [node('If', { inputs: ['x'], outputs: ['y'], attributes: branches })] }),
      'external_data',
    );
  });

  test('operators of other domains, in branches and functions too, and PyOp anywhere', () => {
    blocks(hostile.foreignOperator(), 'foreign_operator');
    blocks(hostile.foreignOperator('com.microsoft', 'Tokenizer'), 'foreign_operator');
    blocks(hostile.foreignOperator('ai.onnx.contrib', 'PyOp'), 'python_operator');
    blocks(hostile.foreignOperator('', 'PyOp'), 'python_operator');
    blocks(
      withFunctions([localFunction('mine', 'F', [['com.evil', 'Run']])], 'mine', 'F'),
      'foreign_operator',
    );
  });

  test('a domain that the operator of the keep allows is not foreign', () => {
    const policy = { allowedDomains: ['', 'com.example.evil'] };
    assert.equal(inspectOnnx(hostile.foreignOperator(), { policy }).verdict, 'pass');
  });

  test('subgraphs deeper than 32, not 32', () => {
    assert.equal(inspectOnnx(hostile.deeplyNested(32)).verdict, 'pass');
    blocks(hostile.deeplyNested(33), 'subgraph_depth');
  });

  test('every cut of a sound model but the whole', () => {
    const whole = buildPolarity();
    for (let length = 0; length < whole.length; length++) {
      const inspection = inspectOnnx(whole.subarray(0, length));
      // A cut between two fields of the outermost message leaves a model that lacks only metadata or operator sets.
      if (inspection.verdict === 'pass') assert.ok(length > 300, `passed with ${length} bytes`);
    }
    blocks(hostile.truncated(), 'malformed');
    blocks(hostile.garbage(), 'malformed');
    blocks(new Uint8Array(), 'format');
  });

  test('numbers in a longer form than needed, or longer than ten bytes', () => {
    const whole = small();
    blocks(concat([whole, Uint8Array.of(0x28, 0x81, 0x00)]), 'malformed');
    blocks(concat([whole, Uint8Array.of(0x28, ...Array<number>(9).fill(0xff), 0x02)]), 'malformed');
    blocks(concat([whole, Uint8Array.of(0x28, ...Array<number>(10).fill(0xff), 0x01)]), 'malformed');
    assert.equal(inspectOnnx(concat([whole, int(5, -1)])).verdict, 'pass');
  });

  test('what two parsers could read in two ways: a second graph, unknown fields, groups, wrong wire types', () => {
    const second = graph({ name: 'h', inputs: [input], outputs: [output], nodes: [identity] });
    blocks(concat([small(), message(7, second)]), 'malformed');
    blocks(concat([small(), int(99, 1)]), 'unknown_field');
    blocks(concat([small(), Uint8Array.of(0x1b, 0x1c)]), 'malformed');
    blocks(concat([small(), int(7, 1)]), 'malformed');
    const twoTypes = concat([
      text(1, 'x'),
      message(2, concat([message(1, int(1, 1)), message(4, new Uint8Array())])),
    ]);
    blocks(small({ inputs: [twoTypes] }), 'malformed');
  });

  test('a shape that does not fit the bytes, so that nothing is allocated for it', () => {
    blocks(
      small({ initializers: [tensor('w', FLOAT, [1 << 30, 1 << 10], message(9, new Uint8Array(4)))] }),
      'tensor_size',
    );
    blocks(small({ initializers: [tensor('w', FLOAT, [1 << 30], new Uint8Array())] }), 'tensor_size');
    blocks(small({ initializers: [tensor('w', FLOAT, [-1], new Uint8Array())] }), 'tensor_size');
  });

  test('local functions that contain themselves, or unfold to too much', () => {
    const self = withFunctions([localFunction('mine', 'F', [['mine', 'F']])], 'mine', 'F');
    blocks(self, 'function_expansion');
    const bomb = Array.from({ length: 30 }, (_, at) =>
      localFunction(
        'mine',
        `F${at}`,
        Array<[string, string]>(10).fill(at === 0 ? ['', 'Identity'] : ['mine', `F${at - 1}`]),
      ),
    );
    blocks(withFunctions(bomb, 'mine', 'F29'), 'function_expansion');
  });

  test('a local function that passes for an operator of the runtime', () => {
    blocks(
      withFunctions([localFunction('com.microsoft', 'F', [['', 'Identity']])], 'com.microsoft', 'F'),
      'foreign_operator',
    );
  });

  test('what cannot be served: sequences, open ranks, twice the same name, no output, unknown versions', () => {
    const sequence = concat([text(1, 'p'), message(2, message(4, new Uint8Array()))]);
    blocks(small({ outputs: [output, sequence] }), 'unsupported_type');
    blocks(small({ inputs: [value('x', 16 as typeof FLOAT, [1])] }), 'unsupported_type');
    blocks(small({ inputs: [concat([text(1, 'x'), message(2, message(1, int(1, 1)))])] }), 'unknown_rank');
    blocks(small({ inputs: [input, input] }), 'names');
    blocks(small({ inputs: [value('a\u0000b', FLOAT, [1])] }), 'names');
    blocks(small({ outputs: [] }), 'no_output');
    blocks(
      model({
        opsets: {},
        graph: graph({ name: 'g', inputs: [input], outputs: [output], nodes: [identity] }),
      }),
      'version',
    );
    blocks(int(1, 9), 'no_graph');
  });

  test('names that are too long or not UTF-8, and files beyond a limit', () => {
    blocks(small({ inputs: [value('x'.repeat(1025), FLOAT, [1])] }), 'too_large');
    blocks(small({ inputs: [concat([message(1, Uint8Array.of(0xc3, 0x28))])] }), 'malformed');
    const few = { ...onnxLimits, fieldsMax: 10 };
    assert.deepEqual(rules(inspectOnnx(small(), { limits: few })), ['block too_large']);
    const tiny = { ...onnxLimits, bytesMax: 10 };
    assert.deepEqual(rules(inspectOnnx(small(), { limits: tiny })), ['block too_large']);
    const kinds = { ...onnxLimits, operatorsMax: 1 };
    assert.deepEqual(rules(inspectOnnx(hostile.deeplyNested(2), { limits: kinds })), ['block too_large']);
    const nodes = { ...onnxLimits, nodesMax: 2 };
    assert.deepEqual(rules(inspectOnnx(small(), { limits: nodes })), ['block too_large']);
  });

  test('a name from the file is quoted, cut and made harmless in messages', () => {
    const bytes = hostile.foreignOperator(`evil\u001b[2J\u202e${'z'.repeat(200)}`);
    const [finding] = inspectOnnx(bytes).findings;
    // oxlint-disable-next-line no-control-regex -- control characters must not reach a terminal
    assert.doesNotMatch(finding?.message ?? '', /[\u0000-\u001f\u202e]/);
    assert.ok((finding?.message.length ?? 0) < 300);
  });
});

describe('what is not ONNX is named', () => {
  const formats: readonly [name: RegExp, bytes: Uint8Array][] = [
    [
      /pickle/,
      Buffer.from('\x80\x04\x95\x1d\0\0\0\0\0\0\0\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.', 'latin1'),
    ],
    [/pickle/, Buffer.from("cos\nsystem\n(S'id'\ntR.")],
    [/ZIP/, Buffer.from('PK\x03\x04\x14\0\0\0\x08\0archive/data.pkl', 'latin1')],
    [/GGUF/, Buffer.from('GGUF\x03\0\0\0', 'latin1')],
    [/safetensors/, Buffer.from('\x02\0\0\0\0\0\0\0{}', 'latin1')],
    [/HDF5/, Buffer.from('\x89HDF\r\n\x1a\n\0', 'latin1')],
    [/NumPy/, Buffer.from('\x93NUMPY\x01\0', 'latin1')],
    [/TensorFlow Lite/, Buffer.from('\x1c\0\0\0TFL3', 'latin1')],
    [/gzip/, Buffer.from('\x1f\x8b\x08\0', 'latin1')],
    [/ELF/, Buffer.from('\x7fELF\x02', 'latin1')],
    [/JSON/, Buffer.from('{"model": 1}')],
    [/HTML/, Buffer.from('<!doctype html>')],
    [/Git LFS/, Buffer.from('version https://git-lfs.github.com/spec/v1\n')],
    [/empty/, new Uint8Array()],
  ];
  for (const [name, bytes] of formats) {
    test(name.source, () => {
      const { verdict, findings } = inspectOnnx(bytes);
      assert.equal(verdict, 'block');
      assert.equal(findings[0]?.rule, 'format');
      assert.match(findings[0]?.message ?? '', name);
    });
  }
});

describe('what is noted', () => {
  test('loops, training graphs, local functions and URLs', () => {
    assert.deepEqual(rules(inspectOnnx(hostile.endlessLoop())), ['warn loop']);
    assert.deepEqual(rules(inspectOnnx(concat([small(), message(20, new Uint8Array())]))), [
      'warn training_info',
    ]);
    const local = withFunctions([localFunction('mine', 'F', [['', 'Identity']])], 'mine', 'F');
    assert.deepEqual(rules(inspectOnnx(local)), ['warn functions']);
    const linked = model({
      opsets,
      metadata: { home: 'see https://example.com' },
      graph: graph({ name: 'g', inputs: [input], outputs: [output], nodes: [identity] }),
    });
    assert.deepEqual(rules(inspectOnnx(linked)), ['warn metadata_url']);
  });
});

function localFunction(
  domain: string,
  name: string,
  calls: readonly (readonly [string, string])[],
): Uint8Array {
  const nodes = calls.map(([of, operator]) =>
    message(7, node(operator, { inputs: ['x'], outputs: ['y'], domain: of })),
  );
  return message(25, concat([text(1, name), ...nodes, text(10, domain)]));
}

function withFunctions(functions: readonly Uint8Array[], domain: string, name: string): Uint8Array {
  const call = node(name, { inputs: ['x'], outputs: ['y'], domain });
  return model({
    opsets,
    graph: graph({ name: 'g', inputs: [input], outputs: [output], nodes: [call] }),
    extra: concat(functions),
  });
}
