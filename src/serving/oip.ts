import { z } from 'zod';
import type { DataType, ModelSignature, TensorSpec, Version } from '../models/version.ts';
import { invalidInput, readFlat, readNested, requireInputs, requireShapes } from './json-input.ts';
import { elementTexts } from './json-output.ts';
import { servingProblems } from './problems.ts';
import { elementCount, isOpen, type Tensor } from './tensors.ts';

/** Open Inference Protocol v2, JSON (kserve/open-inference-protocol, inference_rest.md). */

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));

export const inferRequest = z.object({
  id: z.string().max(256).optional(),
  parameters: parameters.optional(),
  inputs: z
    .array(
      z.object({
        name: z.string(),
        shape: z.array(z.number()),
        datatype: z.string(),
        parameters: parameters.optional(),
        data: z.unknown(),
      }),
    )
    .max(1_024),
  outputs: z
    .array(z.object({ name: z.string(), parameters: parameters.optional() }))
    .max(1_024)
    .optional(),
});
export type InferRequest = z.infer<typeof inferRequest>;

const tensorMetadata = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.number()) });

export const modelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()),
  platform: z.string(),
  inputs: z.array(tensorMetadata),
  outputs: z.array(tensorMetadata),
});

export const inferResponse = z.object({
  model_name: z.string(),
  model_version: z.string(),
  id: z.string().optional(),
  outputs: z.array(tensorMetadata.extend({ data: z.array(z.union([z.number(), z.string(), z.boolean()])) })),
});

const SIZE_MAX = 2 ** 31 - 1;

/** Throws `serving.invalid_input` and `serving.binary_tensors`. */
export function parseInfer(signature: ModelSignature, request: InferRequest): readonly Tensor[] {
  requireInputs(
    signature,
    request.inputs.map(({ name }) => name),
  );
  const tensors = signature.inputs.map((spec) => {
    const input = request.inputs.find(({ name }) => name === spec.name) as InferRequest['inputs'][number];
    return readInput(spec, input);
  });
  requireShapes(signature, tensors);
  return tensors;
}

function readInput(spec: TensorSpec, input: InferRequest['inputs'][number]): Tensor {
  const where = `input "${spec.name}"`;
  for (const parameter of Object.keys(input.parameters ?? {})) {
    if (parameter === 'binary_data_size' || parameter.startsWith('shared_memory_')) {
      throw servingProblems.binary_tensors(`${where} has the parameter ${parameter}: send its data as JSON`);
    }
  }
  if (input.datatype !== spec.type) {
    throw invalidInput(
      `${where} is ${spec.type}, not ${isDataType(input.datatype) ? input.datatype : 'what datatype says'}`,
    );
  }
  const { shape, data } = input;
  if (!shape.every((size) => Number.isInteger(size) && size >= 0 && size <= SIZE_MAX)) {
    throw invalidInput(`${where} has a shape that is not a list of sizes`);
  }
  if (!Array.isArray(data)) throw invalidInput(`${where} needs its elements as an array in "data"`);
  const flat = shape.length <= 1 || !Array.isArray(data[0]);
  return flat ? readFlat(spec, shape, data, where) : readNested(spec, shape, data, where);
}

const DATA_TYPE = /^(?:BOOL|BYTES|BF16|U?INT(?:8|16|32|64)|FP(?:16|32|64))$/;

function isDataType(text: string): text is DataType {
  return DATA_TYPE.test(text);
}

/** The names in `outputs`, in that order, or all. Throws `serving.invalid_input` for a name that the model does not give. */
export function selectOutputs(signature: ModelSignature, request: InferRequest): readonly string[] {
  const given = signature.outputs.map(({ name }) => name);
  if (request.outputs === undefined || request.outputs.length === 0) return given;
  return request.outputs.map(({ name }) => {
    if (given.includes(name)) return name;
    throw invalidInput(
      `outputs: unknown "${name.slice(0, 64)}"; the model gives ${given.map((one) => `"${one}"`).join(', ')}`,
    );
  });
}

/** The answer as JSON text; data flat, in row-major order. */
export function formatInfer(
  answer: { readonly name: string; readonly version: Version; readonly id: string | undefined },
  outputs: readonly Tensor[],
): string {
  const head = [
    `"model_name":${JSON.stringify(answer.name)}`,
    `"model_version":"${answer.version.number}"`,
    ...(answer.id === undefined ? [] : [`"id":${JSON.stringify(answer.id)}`]),
  ];
  const tensors = outputs.map((output) => {
    const data = elementTexts(output).slice(0, elementCount(output.shape)).join(',');
    const name = JSON.stringify(output.name);
    return `{"name":${name},"datatype":"${output.type}","shape":[${output.shape.join(',')}],"data":[${data}]}`;
  });
  return `{${head.join(',')},"outputs":[${tensors.join(',')}]}`;
}

export function describeModel(name: string, version: Version): z.infer<typeof modelMetadata> {
  const describe = ({ name, type, shape }: TensorSpec): z.infer<typeof tensorMetadata> => ({
    name,
    datatype: type,
    shape: shape.map((size) => (typeof size === 'number' && !isOpen(size) ? size : -1)),
  });
  return {
    name,
    versions: [String(version.number)],
    platform: 'onnxruntime_onnx',
    inputs: version.signature.inputs.map(describe),
    outputs: version.signature.outputs.map(describe),
  };
}
