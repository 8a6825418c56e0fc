import type { Readable } from 'node:stream';
import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import type { Call, FailureForm, Reply, Route, ScopeOf } from '../http/route.ts';
import { JsonError } from '../kernel/canonical-json.ts';
import { parseStrictJson } from '../kernel/strict-json.ts';
import type { VersionReference } from '../models/version.ts';
import { invalidInput } from './json-input.ts';
import {
  describeModel,
  formatInfer,
  type InferRequest,
  inferRequest,
  inferResponse,
  modelMetadata,
  parseInfer,
  selectOutputs,
} from './oip.ts';
import {
  answerPrediction,
  type Marking,
  modelPath,
  NAME,
  resolveVersion,
  type ServingRouteOptions,
  VERSION_NUMBER,
} from './prediction.ts';
import { runProblems, servingProblems } from './problems.ts';
import type { Tensor } from './tensors.ts';

/** Of one request. */
const BODY_BYTES_MAX = 16 * 2 ** 20;

/** `/v2`: the Open Inference Protocol. */
export function createOipRoutes({
  models,
  predictor,
  isReady,
  release,
  ...marking
}: ServingRouteOptions & Marking): readonly Route<Permission>[] {
  async function infer(call: Call): Promise<Reply> {
    const version = resolveVersion(models, referenceOf(call.params));
    if (call.headers['inference-header-content-length'] !== undefined) {
      throw servingProblems.binary_tensors(
        'the binary tensor extension is not supported: send the data as JSON',
      );
    }
    const bytes = await readAll(call.stream);
    return answerPrediction({ ...marking, call }, { version, bytes }, async (look) => {
      const request = readRequest(bytes);
      const inputs = parseInfer(version.signature, request);
      const names = selectOutputs(version.signature, request);
      const outputs = await predictor.predict(version, inputs, call.signal);
      look([outputs]);
      const selected = names.map((name) => outputs.find((output) => output.name === name) as Tensor);
      return formatInfer({ name: call.params['model'] as string, version, id: request.id }, selected);
    });
  }

  const common = { tag: 'open inference protocol', failure: oipFailure } as const;
  const read = {
    ...common,
    method: 'GET',
    audit: 'model.read',
    guard: { authenticated: 'takes model.invoke or model.read: the handler asks for one of them' },
  } as const;
  const metadata = {
    ...read,
    summary: 'Inputs and outputs of a model',
    response: modelMetadata,
    problems: [servingProblems.unknown_model],
    handle(call: Call): Reply {
      requireSight(call);
      const { params } = call;
      return { body: describeModel(params['model'] as string, resolveVersion(models, referenceOf(params))) };
    },
  };
  const ready = {
    ...read,
    summary: 'Whether a model can be asked; starts nothing',
    response: z.object({ name: z.string(), ready: z.boolean() }),
    problems: [servingProblems.unknown_model],
    handle(call: Call): Reply {
      requireSight(call);
      const { params } = call;
      const available = predictor.isAvailable(resolveVersion(models, referenceOf(params)));
      return { status: available ? 200 : 400, body: { name: params['model'], ready: available } };
    },
  };
  const inference = {
    ...common,
    method: 'POST',
    audit: 'model.invoke',
    kind: 'read',
    guard: { permission: 'model.invoke', scope },
    summary: 'Predict, Open Inference Protocol',
    // Taken as it comes: the protocol's own clients send no content type, and tell binary tensors by a header.
    request: { body: { stream: '*/*', bytesMax: BODY_BYTES_MAX } },
    response: inferResponse,
    problems: [servingProblems.malformed_json, servingProblems.binary_tensors, ...runProblems],
    handle: infer,
  } as const;
  const probe = {
    ...common,
    method: 'GET',
    audit: { none: 'a probe, counted in the metrics' },
    guard: { public: 'probes of load balancers carry no credential, and the answer names no model' },
  } as const;

  return [
    {
      ...probe,
      path: '/v2',
      summary: 'What this server is',
      response: z.object({ name: z.string(), version: z.string(), extensions: z.array(z.string()) }),
      handle: () => ({ body: { name: 'modelkeep', version: release, extensions: [] } }),
    },
    {
      ...probe,
      path: '/v2/health/live',
      summary: 'Whether the server runs',
      response: z.object({ live: z.boolean() }),
      handle: () => ({ body: { live: true } }),
    },
    {
      ...probe,
      path: '/v2/health/ready',
      summary: 'Whether the server is ready for work',
      response: z.object({ ready: z.boolean() }),
      handle() {
        const ready = isReady();
        return { status: ready ? 200 : 503, body: { ready } };
      },
    },
    { ...metadata, path: '/v2/models/{model}' },
    { ...metadata, path: '/v2/models/{model}/versions/{version}' },
    { ...ready, path: '/v2/models/{model}/ready' },
    { ...ready, path: '/v2/models/{model}/versions/{version}/ready' },
    { ...inference, path: '/v2/models/{model}/infer' },
    { ...inference, path: '/v2/models/{model}/versions/{version}/infer' },
  ];
}

/** A text that names no model is guarded by the root, so that only a caller with rights there hears that it is missing. */
const scope: ScopeOf = ({ params }) => {
  const reference = referenceOf(params);
  return reference ? modelPath(reference) : '/';
};

/**
 * Clients of the protocol ask what a model takes before they send it, so whoever may invoke it may ask; the registry's
 * own page of the model, with its history, stays with `model.read`. Throws `access.denied`.
 */
function requireSight(call: Call): void {
  const resource = scope(call);
  call.note({ resource });
  try {
    call.require('model.invoke', resource);
  } catch {
    call.require('model.read', resource);
  }
}

/** `score` is the model of the project default, `fraud.score` that of the project fraud. The version may be an alias. */
function referenceOf({
  model = '',
  version,
}: Readonly<Record<string, string>>): VersionReference | undefined {
  const [first = '', second, ...more] = model.split('.');
  const [project, name] = second === undefined ? ['default', first] : [first, second];
  if (more.length > 0 || !NAME.test(project) || !NAME.test(name)) return undefined;
  if (version === undefined) return { project, model: name };
  if (VERSION_NUMBER.test(version)) return { project, model: name, version: Number(version) };
  return NAME.test(version) ? { project, model: name, alias: version } : undefined;
}

async function readAll(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function readRequest(bytes: Uint8Array): InferRequest {
  let json: unknown;
  try {
    json = parseStrictJson(bytes);
  } catch (error) {
    if (error instanceof JsonError)
      throw servingProblems.malformed_json(`the body is refused: ${error.message}`);
    throw error;
  }
  const { data, error } = inferRequest.safeParse(json);
  if (data) return data;
  throw invalidInput(
    error.issues
      .slice(0, 8)
      .map(({ path, message }) => `/${path.join('/')}: ${message}`)
      .join('; '),
  );
}

/** `{"error": "…"}`, a string, since clients read it as one; an unacceptable input is 400 in this protocol. */
const oipFailure: FailureForm = ({ status, code, detail }) => ({
  status: status === 422 ? 400 : status,
  contentType: 'application/json',
  body: { error: `${detail} (${code})` },
});
