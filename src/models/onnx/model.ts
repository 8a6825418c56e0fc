import type { FileWindow } from './file-window.ts';
import { operatorKey } from './functions.ts';
import {
  attributeShape,
  dimensionShape,
  dimensionsShape,
  entryShape,
  functionShape,
  graphShape,
  modelShape,
  nodeShape,
  opsetShape,
  sparseTensorShape,
  tensorTypeShape,
  trainingShape,
  typeShape,
  valueShape,
} from './shapes.ts';
import { readTensor, type TensorFacts } from './tensor.ts';
import { type Budget, readFields, type Span, WireError } from './wire.ts';

/** What an ONNX file says about itself, without its weights. */
export interface OnnxModel {
  readonly irVersion: number;
  readonly producer: string;
  /** Operator set version by domain. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  /** Inputs of the main graph that the caller gives: those with an initializer are left out. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  /** The main graph and its subgraphs, and the training graphs. */
  readonly operators: readonly OperatorUse[];
  readonly functions: readonly LocalFunction[];
  readonly tensors: TensorFacts;
  readonly trainingGraphs: number;
}

export interface ValueInfo {
  readonly name: string;
  /** `tensor`, or the name of another kind of type, or `unknown`. */
  readonly kind: string;
  /** TensorProto.DataType of a tensor. */
  readonly elementType: number;
  /** Undefined where the rank is open. */
  readonly shape: readonly (number | string)[] | undefined;
}

export interface OperatorUse {
  readonly domain: string;
  readonly name: string;
  count: number;
}

export interface LocalFunction {
  readonly domain: string;
  readonly name: string;
  readonly operators: readonly OperatorUse[];
}

export interface OnnxLimits {
  readonly bytesMax: number;
  /** Protobuf fields in the whole file; bounds the time. */
  readonly fieldsMax: number;
  /** Nodes, functions, initializers and values in the whole file. */
  readonly nodesMax: number;
  /** Different operators, counted anew in each function. */
  readonly operatorsMax: number;
  readonly subgraphDepthMax: number;
  readonly nameBytesMax: number;
  readonly metadataBytesMax: number;
}

export const onnxLimits: OnnxLimits = {
  bytesMax: 2 ** 31 - 1, // protobuf's own limit for one message
  fieldsMax: 20_000_000,
  nodesMax: 1_000_000,
  operatorsMax: 20_000,
  subgraphDepthMax: 32,
  nameBytesMax: 1024,
  metadataBytesMax: 2 ** 20,
};

/** Reads the structure of an ONNX file. Throws WireError for anything that is not one, or is beyond a limit. */
export function readOnnxModel(file: FileWindow, limits: OnnxLimits = onnxLimits): OnnxModel {
  if (file.length > limits.bytesMax)
    throw new WireError('too_large', `longer than ${limits.bytesMax} bytes`, 0);
  return createReader(limits).model({ file, start: 0, end: file.length });
}

type Operators = Map<string, OperatorUse>;

interface Graph {
  readonly inputs: ValueInfo[];
  readonly outputs: ValueInfo[];
  readonly initialized: Set<string>;
}

function createReader(limits: OnnxLimits) {
  const budget: Budget = { fields: limits.fieldsMax };
  const tensors: TensorFacts = { external: new Set(), unsound: new Set() };
  const name = limits.nameBytesMax;
  let items = 0;
  let kinds = 0;

  function model(span: Span): OnnxModel {
    const operators: Operators = new Map();
    const opsets = new Map<string, number>();
    const metadata = new Map<string, string>();
    const functions: LocalFunction[] = [];
    let irVersion = 0;
    let producer = '';
    let graph: Graph | undefined;
    let trainingGraphs = 0;
    readFields(span, modelShape, budget, (field) => {
      if (field.number === 1) irVersion = field.int;
      else if (field.number === 2) producer = field.text(name);
      else if (field.number === 7) graph = readGraph(field.span(), operators, 0);
      else if (field.number === 8) readOpset(field.span(), opsets);
      else if (field.number === 14) readEntry(field.span(), metadata);
      else if (field.number === 20) trainingGraphs += readTraining(field.span(), operators);
      else if (field.number === 25) functions.push(readFunction(field.span()));
    });
    if (graph === undefined) throw new WireError('no_graph', 'there is no graph', span.start);
    const { inputs, outputs, initialized } = graph;
    return {
      irVersion,
      producer,
      opsets,
      metadata,
      inputs: inputs.filter((input) => !initialized.has(input.name)),
      outputs,
      operators: [...operators.values()],
      functions,
      tensors,
      trainingGraphs,
    };
  }

  function readGraph(span: Span, operators: Operators, depth: number): Graph {
    if (depth > limits.subgraphDepthMax) {
      throw new WireError(
        'subgraph_depth',
        `graphs nested deeper than ${limits.subgraphDepthMax}`,
        span.start,
      );
    }
    const graph: Graph = { inputs: [], outputs: [], initialized: new Set() };
    readFields(span, graphShape, budget, (field) => {
      if (field.number === 1) readNode(field.span(), operators, depth);
      else if (field.number === 5) addInitializer(graph, readTensorHere(field.span()), span);
      else if (field.number === 11) graph.inputs.push(readValue(field.span()));
      else if (field.number === 12) graph.outputs.push(readValue(field.span()));
      else if (field.number === 15) addInitializer(graph, readSparseTensor(field.span()), span);
    });
    return graph;
  }

  function addInitializer(graph: Graph, tensor: string, span: Span): void {
    countItem(span);
    graph.initialized.add(tensor);
  }

  function readNode(span: Span, operators: Operators, depth: number): void {
    countItem(span);
    let operator = '';
    let domain = '';
    readFields(span, nodeShape, budget, (field) => {
      if (field.number === 4) operator = field.text(name);
      else if (field.number === 7) domain = field.text(name);
      else if (field.number === 5) readAttribute(field.span(), operators, depth);
    });
    const key = operatorKey({ domain, name: operator });
    const use = operators.get(key);
    if (use !== undefined) {
      use.count++;
      return;
    }
    if (++kinds > limits.operatorsMax) {
      throw new WireError('too_large', `more than ${limits.operatorsMax} different operators`, span.start);
    }
    operators.set(key, { domain, name: operator, count: 1 });
  }

  function readAttribute(span: Span, operators: Operators, depth: number): void {
    readFields(span, attributeShape, budget, (field) => {
      if (field.number === 5 || field.number === 10) readTensorHere(field.span());
      else if (field.number === 6 || field.number === 11) readGraph(field.span(), operators, depth + 1);
      else if (field.number === 22 || field.number === 23) readSparseTensor(field.span());
    });
  }

  function readTensorHere(span: Span): string {
    return readTensor(span, { budget, facts: tensors, nameBytesMax: name });
  }

  /** A sparse tensor goes by the name of its values. */
  function readSparseTensor(span: Span): string {
    let values = '';
    readFields(span, sparseTensorShape, budget, (field) => {
      if (field.number === 1) values = readTensorHere(field.span());
      else if (field.number === 2) readTensorHere(field.span());
    });
    return values;
  }

  function readFunction(span: Span): LocalFunction {
    countItem(span);
    const operators: Operators = new Map();
    let functionName = '';
    let domain = '';
    readFields(span, functionShape, budget, (field) => {
      if (field.number === 1) functionName = field.text(name);
      else if (field.number === 10) domain = field.text(name);
      else if (field.number === 7) readNode(field.span(), operators, 0);
      else if (field.number === 11) readAttribute(field.span(), operators, 0);
    });
    return { domain, name: functionName, operators: [...operators.values()] };
  }

  function readTraining(span: Span, operators: Operators): number {
    let graphs = 0;
    readFields(span, trainingShape, budget, (field) => {
      if (field.number > 2) return;
      readGraph(field.span(), operators, 0);
      graphs++;
    });
    return Math.max(graphs, 1);
  }

  function readOpset(span: Span, opsets: Map<string, number>): void {
    let domain = '';
    let version = 0;
    readFields(span, opsetShape, budget, (field) => {
      if (field.number === 1) domain = field.text(name);
      else version = field.int;
    });
    opsets.set(domain, version);
  }

  function readEntry(span: Span, entries: Map<string, string>): void {
    let key = '';
    let value = '';
    readFields(span, entryShape, budget, (field) => {
      if (field.number === 1) key = field.text(name);
      else value = field.text(limits.metadataBytesMax);
    });
    entries.set(key, value);
  }

  function readValue(span: Span): ValueInfo {
    countItem(span);
    let value: ValueInfo = { name: '', kind: 'unknown', elementType: 0, shape: undefined };
    readFields(span, valueShape, budget, (field) => {
      if (field.number === 1) value = { ...value, name: field.text(name) };
      else if (field.number === 2) value = { ...value, ...readType(field.span()) };
    });
    return value;
  }

  function readType(span: Span): Omit<ValueInfo, 'name'> {
    let type: Omit<ValueInfo, 'name'> = { kind: 'unknown', elementType: 0, shape: undefined };
    readFields(span, typeShape, budget, (field) => {
      if (field.number === 6) return;
      // A union: protobuf would keep the last member, another parser the first.
      if (type.kind !== 'unknown') throw new WireError('malformed', 'a type that is two types', span.start);
      type =
        field.number === 1
          ? readTensorType(field.span())
          : { ...type, kind: typeKinds[field.number] ?? 'other' };
    });
    return type;
  }

  function readTensorType(span: Span): Omit<ValueInfo, 'name'> {
    let elementType = 0;
    let shape: (number | string)[] | undefined;
    readFields(span, tensorTypeShape, budget, (field) => {
      if (field.number === 1) elementType = field.int;
      else shape = readShape(field.span());
    });
    return { kind: 'tensor', elementType, shape };
  }

  function readShape(span: Span): (number | string)[] {
    const shape: (number | string)[] = [];
    readFields(span, dimensionsShape, budget, (dimension) => {
      let size: number | string = -1;
      let members = 0;
      readFields(dimension.span(), dimensionShape, budget, (field) => {
        if (field.number === 1) size = Math.max(field.int, -1);
        else if (field.number === 2) size = field.text(name) || -1;
        if (field.number !== 3 && ++members > 1)
          throw new WireError('malformed', 'a dimension with two sizes', span.start);
      });
      shape.push(size);
    });
    return shape;
  }

  function countItem(span: Span): void {
    if (++items > limits.nodesMax) {
      throw new WireError(
        'too_large',
        `more than ${limits.nodesMax} nodes, functions, initializers and values`,
        span.start,
      );
    }
  }

  return { model };
}

const typeKinds: Readonly<Record<number, string>> = {
  4: 'sequence',
  5: 'map',
  7: 'opaque',
  8: 'sparse tensor',
  9: 'optional',
};
