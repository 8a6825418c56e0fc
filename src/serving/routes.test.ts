import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it, type TestContext } from 'node:test';
import { buildPolarity } from '../../examples/polarity.ts';
import { accessProblems } from '../access/problems.ts';
import { opensTo } from '../audit/privacy/commitment.ts';
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
  /** Permissions that the caller does not have. */
  readonly lacks?: readonly string[];
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
    async ask(
      method,
      path,
      { params = {}, query = {}, headers = {}, json, bytes, lacks = [] }: AskOptions = {},
    ) {
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
        require(permission: string, scope: string) {
          if (lacks.includes(permission)) throw accessProblems.denied(`${permission}@${scope} is missing`);
        },
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

function assertOpens(commitment: AuditFacts['input'], content: string): void {
  assert.ok(commitment && opensTo(commitment.hash, commitment.nonce, content));
}

describe('the serving routes', () => {
  it('tell what a model takes to whoever may invoke it or may read it, and to nobody else', async (t) => {
    const { models, ask } = serve(t);
    models.add(polarity);
    for (const path of ['/v2/models/{model}', '/v2/models/{model}/ready']) {
      const params = { model: 'polarity' };
      const consumer = await ask('GET', path, { params, lacks: ['model.read'] });
      assert.equal((consumer.body as { name: string }).name, 'polarity');
      assert.equal(consumer.facts.resource, '/projects/default/models/polarity');
      const viewer = await ask('GET', path, { params, lacks: ['model.invoke'] });
      assert.equal((viewer.body as { name: string }).name, 'polarity');
      const stranger = ask('GET', path, { params, lacks: ['model.read', 'model.invoke'] });
      await assert.rejects(stranger, (error) => isProblem(error, accessProblems.denied));
    }
  });

  it('predict with the default model, and note commitments to exactly what came and went', async (t) => {
    const { models, ask } = serve(t);
    const version = models.add(polarity);
    const { body, headers, facts } = await ask('POST', '/predict', { json: { value: 3 } });
    assert.equal(body, '{"prediction":"positive"}');
    assert.match(headers?.['content-type'] ?? '', /^application\/json/);
    assert.deepEqual(facts, {
      resource: '/projects/default/models/polarity/versions/1',
      model: { version: '1', digest: version.digest },
      input: facts.input,
      output: facts.output,
    });
    assertOpens(facts.input, '{"value":3}');
    assertOpens(facts.output, '{"prediction":"positive"}');
  });

  it('commits to equal inputs differently each time: the log does not tell that they are equal', async (t) => {
    const { models, ask } = serve(t);
    models.add(polarity);
    const first = (await ask('POST', '/predict', { json: { value: 3 } })).facts;
    const second = (await ask('POST', '/predict', { json: { value: 3 } })).facts;
    assert.notEqual(first.input?.hash, second.input?.hash);
    assert.notEqual(first.output?.hash, second.output?.hash);
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
    assertOpens(facts.input, JSON.stringify({ ...infer, id: 'a1' }));
    assertOpens(facts.output, body as string);
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
