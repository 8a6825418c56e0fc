import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import { createCommit } from '../audit/privacy/commitment.ts';
import type { Call, Reply, Route } from '../http/route.ts';
import type { VersionReference } from '../models/version.ts';
import { createOipRoutes } from './oip-routes.ts';
import { formatPlain, parsePlain } from './plain.ts';
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

const plainBody = z.looseObject({}).meta({
  description: 'One row: each input of the model by name. Or {"instances": [row, …]}.',
  examples: [{ value: 3 }, { instances: [{ value: 3 }, { value: -1 }] }],
});
const plainAnswer = z.looseObject({}).meta({
  description: 'Each output of the model by name, or {"predictions": [row, …]} if instances were sent.',
  examples: [{ prediction: 'positive' }],
});
const plainQuery = z.strictObject({
  alias: z.string().regex(NAME).optional(),
  version: z.string().regex(VERSION_NUMBER).optional(),
});

/** Routes that predict and tell about models: the plain protocol and the Open Inference Protocol. */
export function createServingRoutes(options: ServingRouteOptions): readonly Route<Permission>[] {
  const { models, predictor, defaultModel } = options;
  const { tagInput } = options;
  const marking: Marking = { commit: createCommit(), ...(tagInput && { tagInput }) };

  async function predictPlain(call: Call, reference: VersionReference): Promise<Reply> {
    const version = resolveVersion(models, reference);
    return answerPrediction({ ...marking, call }, { version, bytes: call.bytes }, async (look) => {
      const request = parsePlain(version.signature, call.body, predictor.limits);
      const rows = await predictor.predictRows(version, request.rows, call.signal);
      look(rows);
      return formatPlain(version.signature, rows, request);
    });
  }

  const plain = {
    method: 'POST',
    audit: 'model.invoke',
    kind: 'read',
    tag: 'predict',
    response: plainAnswer,
  } as const;

  return [
    {
      ...plain,
      path: '/predict',
      guard: defaultModel
        ? { permission: 'model.invoke', scope: () => modelPath(defaultModel) }
        : { authenticated: 'says only that there is no default model' },
      summary: 'Predict with the default model',
      request: { body: plainBody },
      problems: [servingProblems.no_default_model, ...runProblems],
      handle(call) {
        if (defaultModel) return predictPlain(call, defaultModel);
        throw servingProblems.no_default_model('the configuration names no default model');
      },
    },
    {
      ...plain,
      path: '/projects/{project}/models/{model}/predict',
      guard: { permission: 'model.invoke', scope: ({ params }) => modelPath(pathReference(params)) },
      summary: 'Predict with a model, by default its version with the alias production',
      request: { query: plainQuery, body: plainBody },
      problems: runProblems,
      handle: (call) => predictPlain(call, { ...pathReference(call.params), ...selected(call.query) }),
    },
    ...createOipRoutes({ ...options, ...marking }),
  ];
}

function pathReference(params: Readonly<Record<string, string>>): VersionReference {
  return { project: params['project'] ?? '', model: params['model'] ?? '' };
}

function selected({ alias, version }: Readonly<Record<string, unknown>>): Partial<VersionReference> {
  if (alias !== undefined && version !== undefined) {
    throw servingProblems.invalid_input('"alias" and "version" exclude each other');
  }
  if (typeof alias === 'string') return { alias };
  return typeof version === 'string' ? { version: Number(version) } : {};
}
