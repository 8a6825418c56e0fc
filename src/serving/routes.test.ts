import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { buildPolarity } from '../../examples/polarity.ts';
import type { AuditFacts, Call, Reply, Route } from '../http/route.ts';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import { createPredictor } from './predictor.ts';
import { servingProblems } from './problems.ts';
import { createServingRoutes } from './routes.ts';
import { createTestingModels, type TestingModels, valueSignature } from './testing-models.ts';

interface Served {
  readonly models: TestingModels;
  readonly routes: readonly Route[];
  /** Handles one request as the server would after the guard. */
  readonly ask: (method: string, path: string, request?: AskOptions) => Promise<Asked>;
}

interface AskOptions {
  readonly params?: Record<string, string>;
  readonly query?: Record<string, string>;
  readonly headers?: Record<string, string>;
  readonly json?: unknown;
  readonly bytes?: Uint8Array;
}

interface Asked extends Reply {
  readonly facts: AuditFacts;
}

function serve(t: TestContext): Served {
  const models = createTestingModels();
  const predictor = createPredictor({ models, clock: createManualClock(), log: silentLog });
  t.after(() => predictor.close());
  const defaultModel = { project: 'default', model: 'polarity' };
  const routes = createServingRoutes({
    models,
    predictor,
    defaultModel,
    isReady: () => true,
    release: '1.2.3',
  });
  return {
    models,
    routes,
    async ask(method, path, { params = {}, query = {}, headers = {}, json, bytes }: AskOptions = {}) {
      const route = routes.find((route) => route.method === method && route.path === path);
      assert.ok(route, `${method} ${path} is in the table`);
      const body = bytes ?? new TextEncoder().encode(json === undefined ? '' : JSON.stringify(json));
      let facts: AuditFacts = {};
      const call = {
        params,
        query,
        headers,
        body: json,
        bytes: body,
        stream: Readable.from([body]),
        signal: new AbortController().signal,
        note: (more: AuditFacts) => {
          facts = { ...facts, ...more };
        },
      };
      return { ...(await route.handle(call as unknown as Call)), facts };
    },
  };
}

const polarity = { model: 'polarity', bytes: buildPolarity(), signature: valueSignature('BYTES') };
const infer = { inputs: [{ name: 'value', shape: [2], datatype: 'FP32', data: [3, -3] }] };

function scopeOf(route: Route | undefined, params: Record<string, string>): string | undefined {
  return route && 'scope' in route.guard ? route.guard.scope({ params }) : undefined;
}

describe('the serving routes', () => {
  it('predict with the default model, and note the digests of exactly what came and went', async (t) => {
    const { models, ask } = serve(t);
    const version = models.add(polarity);
    const { body, headers, facts } = await ask('POST', '/predict', { json: { value: 3 } });
    assert.equal(body, '{"prediction":"positive"}');
    assert.match(headers?.['content-type'] ?? '', /^application\/json/);
    assert.deepEqual(facts, {
      resource: '/projects/default/models/polarity/versions/1',
      model: { version: '1', digest: version.digest },
      input: hash('sha256', '{"value":3}'),
      output: hash('sha256', '{"prediction":"positive"}'),
    });
  });

  it('predict with a model by path, alias and version', async (t) => {
    const { models, ask } = serve(t);
    models.add({ ...polarity, project: 'fraud', aliases: ['production'] });
    models.add({ ...polarity, project: 'fraud', aliases: ['staging'] });
    const path = '/projects/{project}/models/{model}/predict';
    const params = { project: 'fraud', model: 'polarity' };
    const json = { instances: [{ value: 3 }, { value: -3 }] };
    const answer = await ask('POST', path, { params, json });
    assert.equal(answer.body, '{"predictions":[{"prediction":"positive"},{"prediction":"negative"}]}');
    assert.equal(answer.facts.model?.version, '1');
    assert.equal(
      (await ask('POST', path, { params, json, query: { alias: 'staging' } })).facts.model?.version,
      '2',
    );
    assert.equal(
      (await ask('POST', path, { params, json, query: { version: '1' } })).facts.model?.version,
      '1',
    );
    await assert.rejects(
      ask('POST', path, { params, json, query: { version: '1', alias: 'staging' } }),
      /exclude each other/,
    );
    for (const query of [{ version: '9' }, { alias: 'nobody' }]) {
      await assert.rejects(ask('POST', path, { params, json, query }), (error) =>
        isProblem(error, servingProblems.unknown_model),
      );
    }
  });

  it('speak the Open Inference Protocol', async (t) => {
    const { models, ask } = serve(t);
    models.add({ ...polarity, project: 'fraud' });
    const params = { model: 'fraud.polarity', version: '1' };
    const { body, facts } = await ask('POST', '/v2/models/{model}/versions/{version}/infer', {
      params,
      json: { ...infer, id: 'a1' },
    });
    assert.deepEqual(JSON.parse(body as string), {
      model_name: 'fraud.polarity',
      model_version: '1',
      id: 'a1',
      outputs: [{ name: 'prediction', datatype: 'BYTES', shape: [2], data: ['positive', 'negative'] }],
    });
    assert.deepEqual(
      [facts.input, facts.output],
      [hash('sha256', JSON.stringify({ ...infer, id: 'a1' })), hash('sha256', body as string)],
    );
    assert.deepEqual((await ask('GET', '/v2')).body, { name: 'modelkeep', version: '1.2.3', extensions: [] });
    assert.deepEqual(
      (await ask('GET', '/v2/models/{model}/ready', { params: { model: 'fraud.polarity' } })).body,
      {
        name: 'fraud.polarity',
        ready: true,
      },
    );
    const metadata = await ask('GET', '/v2/models/{model}', { params: { model: 'fraud.polarity' } });
    assert.deepEqual((metadata.body as { inputs: unknown }).inputs, [
      { name: 'value', datatype: 'FP32', shape: [-1] },
    ]);
  });

  it('refuse binary tensors and broken JSON clearly', async (t) => {
    const { models, ask } = serve(t);
    models.add(polarity);
    const params = { model: 'polarity' };
    const path = '/v2/models/{model}/infer';
    const headers = { 'inference-header-content-length': '20' };
    await assert.rejects(
      ask('POST', path, { params, headers, json: infer }),
      (error) => isProblem(error, servingProblems.binary_tensors) && error.status === 400,
    );
    for (const text of ['', '{', '{"inputs":[],"inputs":[]}', '{"inputs":[NaN]}']) {
      await assert.rejects(ask('POST', path, { params, bytes: new TextEncoder().encode(text) }), (error) =>
        isProblem(error, servingProblems.malformed_json),
      );
    }
    await assert.rejects(
      ask('POST', path, { params, json: { inputs: 3 } }),
      (error) => isProblem(error, servingProblems.invalid_input) && error.detail.startsWith('/inputs: '),
    );
  });

  it('write failures as a string with the status of the protocol', async (t) => {
    const { routes } = serve(t);
    const form = routes.find(({ path }) => path === '/v2/models/{model}/infer')?.failure;
    assert.deepEqual(form?.({ status: 422, code: 'serving.invalid_input', detail: 'inputs: missing "x"' }), {
      status: 400,
      contentType: 'application/json',
      body: { error: 'inputs: missing "x" (serving.invalid_input)' },
    });
    assert.equal(form?.({ status: 403, code: 'access.denied', detail: '' }).status, 403);
  });

  it('are guarded by the model that the request names, and by the root where it names none', (t) => {
    const { routes } = serve(t);
    const at = (path: string): Route | undefined => routes.find((route) => route.path === path);
    assert.equal(scopeOf(at('/predict'), {}), '/projects/default/models/polarity');
    assert.equal(
      scopeOf(at('/projects/{project}/models/{model}/predict'), { project: 'fraud', model: 'score' }),
      '/projects/fraud/models/score',
    );
    for (const [model, scope] of [
      ['score', '/projects/default/models/score'],
      ['fraud.score', '/projects/fraud/models/score'],
      ['fraud.score.x', '/'],
      ['../score', '/'],
      ['fraud.', '/'],
      ['*', '/'],
    ] as const) {
      assert.equal(scopeOf(at('/v2/models/{model}/infer'), { model }), scope);
    }
    const open = routes.filter(({ guard }) => 'public' in guard).map(({ path }) => path);
    assert.deepEqual(open, ['/v2', '/v2/health/live', '/v2/health/ready']);
  });
});
