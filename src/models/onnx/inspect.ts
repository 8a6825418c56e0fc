import type { ModelSignature, TensorSpec } from '../version.ts';
import { type ByteSource, bytesSource, FileWindow, splitHead } from './file-window.ts';
import { FORMAT_HEAD_BYTES, recogniseFormat } from './formats.ts';
import { type OnnxLimits, type OnnxModel, onnxLimits, readOnnxModel } from './model.ts';
import { defaultPolicy, type OnnxPolicy, onnxRules } from './rules.ts';
import { toTensorSpec } from './signature.ts';
import { WireError } from './wire.ts';

export interface Finding {
  /** Stable name of the rule. */
  readonly rule: string;
  readonly severity: 'block' | 'warn';
  readonly message: string;
}

/** The verdict on one file. A file that cannot be read is blocked: "not understood" is never "clean". */
export type Inspection =
  | { readonly verdict: 'block'; readonly findings: readonly Finding[] }
  | { readonly verdict: 'pass'; readonly findings: readonly Finding[]; readonly facts: OnnxFacts };

export interface OnnxFacts {
  readonly signature: ModelSignature;
  readonly irVersion: number;
  readonly producer: string;
  /** Operator set version by domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** How often each operator is used, `ai.onnx.ml.LabelEncoder`; standard ones without a domain. */
  readonly operators: Readonly<Record<string, number>>;
}

export interface InspectOptions {
  readonly policy?: OnnxPolicy;
  readonly limits?: OnnxLimits;
}

/**
 * Reads an ONNX file without running any of it and judges it by the rules. Never throws for what the file holds. The
 * numbers of its tensors are passed over: of a source, no more than a piece is in memory.
 */
export function inspectOnnx(file: Uint8Array | ByteSource, options: InspectOptions = {}): Inspection {
  const source = file instanceof Uint8Array ? bytesSource(file) : file;
  const model = tryRead(source, options.limits ?? onnxLimits);
  if ('rule' in model) return { verdict: 'block', findings: [model] };
  const policy = options.policy ?? defaultPolicy;
  const findings = onnxRules.flatMap(({ rule, severity, find }) =>
    find(model, policy).map((message) => ({ rule, severity, message })),
  );
  if (findings.some(({ severity }) => severity === 'block')) return { verdict: 'block', findings };
  return { verdict: 'pass', findings, facts: factsOf(model) };
}

function tryRead(source: ByteSource, limits: OnnxLimits): OnnxModel | Finding {
  const { head, whole } = splitHead(source, FORMAT_HEAD_BYTES);
  const file = new FileWindow(whole);
  try {
    return readOnnxModel(file, limits);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    const format = recogniseFormat({ head, length: file.length, last: () => file.at(file.length - 1) });
    return format === undefined
      ? { rule: error.rule, severity: 'block', message: `not a sound ONNX file: ${error.message}` }
      : { rule: 'format', severity: 'block', message: `not an ONNX file but ${format}` };
  }
}

function factsOf(model: OnnxModel): OnnxFacts {
  const operators = model.operators.map(({ domain, name, count }): [string, number] => [
    domain === '' || domain === 'ai.onnx' ? name : `${domain}.${name}`,
    count,
  ]);
  return {
    signature: { inputs: model.inputs.flatMap(tensors), outputs: model.outputs.flatMap(tensors) },
    irVersion: model.irVersion,
    producer: model.producer,
    opsets: Object.fromEntries(model.opsets),
    metadata: Object.fromEntries(model.metadata),
    operators: Object.fromEntries(operators),
  };
}

function tensors(value: OnnxModel['inputs'][number]): TensorSpec[] {
  const spec = toTensorSpec(value);
  return 'unsupported' in spec ? [] : [spec];
}
