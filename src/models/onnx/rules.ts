import { expandedNodes, expandedNodesMax, operatorKey } from './functions.ts';
import type { OnnxModel, OperatorUse, ValueInfo } from './model.ts';
import { quote, toTensorSpec } from './signature.ts';

export interface OnnxPolicy {
  /** Operator domains that may be used. */
  readonly allowedDomains: readonly string[];
}

export const defaultPolicy: OnnxPolicy = { allowedDomains: ['', 'ai.onnx', 'ai.onnx.ml'] };

/** One thing that is looked for. `find` gives a message for each place where it is. */
export interface OnnxRule {
  readonly rule: string;
  /** `block`: the file is refused. `warn`: it is noted with the version. */
  readonly severity: 'block' | 'warn';
  readonly find: (model: OnnxModel, policy: OnnxPolicy) => readonly string[];
}

export const onnxRules: readonly OnnxRule[] = [
  {
    rule: 'external_data',
    severity: 'block',
    find: ({ tensors }) =>
      first([...tensors.external]).map(
        (name) => `tensor ${quote(name)} has its bytes in another file; export a single file`,
      ),
  },
  {
    rule: 'python_operator',
    severity: 'block',
    find: (model) =>
      allOperators(model).some(({ name }) => name === 'PyOp') ? ['PyOp runs Python code'] : [],
  },
  {
    rule: 'foreign_operator',
    severity: 'block',
    find: (model, policy) =>
      foreignOperators(model, policy).map(
        ({ domain, name }) =>
          `operator ${quote(name)} is of the domain ${quote(domain)}, which is not allowed`,
      ),
  },
  {
    rule: 'function_expansion',
    severity: 'block',
    find: (model) =>
      expandedNodes(model) > expandedNodesMax
        ? [`local functions expand to more than ${expandedNodesMax} nodes`]
        : [],
  },
  {
    rule: 'tensor_size',
    severity: 'block',
    find: ({ tensors }) =>
      first([...tensors.unsound]).map((name) => `tensor ${quote(name)}: its shape does not fit its bytes`),
  },
  {
    rule: 'version',
    severity: 'block',
    find: ({ irVersion, opsets }) => [
      ...(irVersion < 3 || irVersion > 13 ? [`IR version ${irVersion} is not known`] : []),
      ...(opsets.size === 0 ? ['no operator set is named'] : []),
    ],
  },
  {
    rule: 'names',
    severity: 'block',
    find: ({ inputs, outputs }) => [...badNames('input', inputs), ...badNames('output', outputs)],
  },
  {
    rule: 'no_output',
    severity: 'block',
    find: ({ outputs }) => (outputs.length === 0 ? ['the graph has no output'] : []),
  },
  {
    rule: 'unsupported_type',
    severity: 'block',
    find: ({ inputs, outputs }) =>
      first(
        [...inputs.map(label('input')), ...outputs.map(label('output'))].flatMap(({ side, value }) => {
          const spec = toTensorSpec(value);
          return 'unsupported' in spec ? [`${side} ${spec.unsupported}`] : [];
        }),
      ),
  },
  {
    rule: 'unknown_rank',
    severity: 'block',
    find: ({ inputs }) =>
      first(inputs.filter(({ kind, shape }) => kind === 'tensor' && shape === undefined)).map(
        ({ name }) => `input ${quote(name)} declares no shape, so requests cannot be checked`,
      ),
  },
  {
    rule: 'dimension',
    severity: 'block',
    find: ({ inputs, outputs }) =>
      first(
        [...inputs, ...outputs].filter(({ shape = [] }) =>
          shape.some((size) => typeof size === 'number' && !Number.isSafeInteger(size)),
        ),
      ).map(({ name }) => `${quote(name)} has a dimension beyond 2^53`),
  },
  {
    rule: 'loop',
    severity: 'warn',
    find: (model) =>
      allOperators(model)
        .filter(
          ({ name, domain }) =>
            (name === 'Loop' || name === 'Scan') && (domain === '' || domain === 'ai.onnx'),
        )
        .map(
          ({ name, count }) =>
            `${count} × ${name}: how long a prediction takes depends on the model's own numbers`,
        )
        .slice(0, 2),
  },
  {
    rule: 'training_info',
    severity: 'warn',
    find: ({ trainingGraphs }) =>
      trainingGraphs > 0 ? [`${trainingGraphs} training graph(s), which serving never runs`] : [],
  },
  {
    rule: 'functions',
    severity: 'warn',
    find: ({ functions }) =>
      functions.length > 0 ? [`${functions.length} operator(s) defined by the model itself`] : [],
  },
  {
    rule: 'metadata_url',
    severity: 'warn',
    find: ({ metadata }) =>
      first([...metadata].filter(([, value]) => /https?:\/\//i.test(value))).map(
        ([key]) => `metadata ${quote(key)} holds a URL`,
      ),
  },
];

/** Domains whose operators the runtime brings: a local function must not pass for one of them. */
const RUNTIME_DOMAINS = /^(?:ai\.onnx|com\.(?:ms|microsoft)|org\.pytorch)(?:\.|$)/;

function foreignOperators(model: OnnxModel, { allowedDomains }: OnnxPolicy): readonly OperatorUse[] {
  const local = new Set(model.functions.map(operatorKey));
  const isForeign = (use: OperatorUse): boolean =>
    !allowedDomains.includes(use.domain) &&
    (RUNTIME_DOMAINS.test(use.domain) || !local.has(operatorKey(use)));
  return first(allOperators(model).filter(isForeign));
}

function allOperators({ operators, functions }: OnnxModel): readonly OperatorUse[] {
  return [...operators, ...functions.flatMap((local) => local.operators)];
}

function badNames(side: string, values: readonly ValueInfo[]): readonly string[] {
  const seen = new Set<string>();
  const bad: string[] = [];
  for (const { name } of values) {
    if (name === '') bad.push(`an ${side} has no name`);
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    else if (/[\u0000-\u001f\u007f-\u009f]/.test(name))
      bad.push(`${side} ${quote(name)} has control characters in its name`);
    else if (seen.has(name)) bad.push(`${side} ${quote(name)} stands twice`);
    seen.add(name);
  }
  return first(bad);
}

const label =
  (side: string) =>
  (value: ValueInfo): { side: string; value: ValueInfo } => ({ side, value });

/** Enough to act on; a hostile file could bring a million. */
function first<T>(items: readonly T[]): readonly T[] {
  return items.slice(0, 5);
}
