import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { z } from 'zod';
import { createHttpMetrics } from './metrics.ts';
import { createOpenApi } from './openapi.ts';
import { createOperationsRoutes, type OperationsDeps } from './operations.ts';
import { httpProblems } from './problems.ts';
import { type Route, root } from './route.ts';
import { compileRoutes } from './compiled-route.ts';
import { startServer } from './server.harness.ts';

const route: Route = {
  method: 'POST',
  path: '/projects/{project}/models',
  guard: { permission: 'model.create', scope: root },
  audit: 'model.create',
  tag: 'models',
  summary: 'Make a model',
  status: 201,
  request: {
    params: z.object({ project: z.string().max(63) }),
    query: z.strictObject({ dry: z.enum(['yes', 'no']).optional() }),
    body: z.strictObject({ name: z.string() }),
  },
  response: z.object({ id: z.string() }),
  problems: [httpProblems.deadline],
  handle: () => ({}),
};

function operations(overrides: Partial<OperationsDeps> = {}): readonly Route[] {
  return createOperationsRoutes({
    routes: [route],
    problems: Object.values(httpProblems),
    readiness: () => ({ ready: true, reasons: [] }),
    registry: new Registry(),
    metricsPublic: false,
    info: { title: 'Modelkeep', version: '1.2.3' },
    ...overrides,
  });
}

describe('operations', () => {
  it('say live, ready, and why not', async (t) => {
    let reasons: string[] = [];
    const readiness = (): { ready: boolean; reasons: string[] } => ({ ready: reasons.length === 0, reasons });
    const extra = operations({ readiness }).filter(({ path }) => path !== '/livez');
    const { fetch } = await startServer(t, { extra });
    assert.equal((await fetch('/readyz', { as: '' })).status, 200);
    reasons = ['the audit log is not open'];
    const response = await fetch('/readyz', { as: '' });
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { ready: false, reasons });
  });

  it('serve the page of every problem code, as JSON and as text', async (t) => {
    const { fetch } = await startServer(t, { extra: operations().filter(({ path }) => path !== '/livez') });
    const list = (await (await fetch('/problems', { as: '' })).json()) as { code: string }[];
    assert.deepEqual(
      list.map(({ code }) => code).toSorted(),
      Object.values(httpProblems)
        .map(({ code }) => code)
        .toSorted(),
    );
    const page = await fetch('/problems/http.malformed_json', {
      as: '',
      headers: { accept: 'text/markdown' },
    });
    assert.match(await page.text(), /^# The body is not acceptable JSON\n[^]*status 400/);
    assert.equal((await fetch('/problems/http.no_such', { as: '' })).status, 404);
  });

  it('count requests under their route templates, for those who may see it', async (t) => {
    const registry = new Registry();
    const metrics = createHttpMetrics(registry);
    const extra = operations({ registry }).filter(({ path }) => path !== '/livez');
    const { fetch, raw } = await startServer(t, { extra, metrics });
    await fetch('/things/secret-name');
    await fetch('/nowhere/secret-name');
    await raw('garbage\r\n\r\n');
    assert.equal((await fetch('/metrics', { as: '' })).status, 401);
    assert.equal((await fetch('/metrics', { as: 'nobody' })).status, 403);
    const text = await (await fetch('/metrics')).text();
    assert.match(
      text,
      /modelkeep_http_requests_total\{method="GET",route="\/things\/\{thing\}",status="200"\} 1/,
    );
    assert.match(text, /\{method="GET",route="unmatched",status="404"\} 1/);
    assert.match(text, /\{method="other",route="unmatched",status="400"\} 1/);
    assert.match(text, /modelkeep_http_requests_in_flight 1/);
    assert.ok(!text.includes('secret-name'));
  });

  it('make metrics public only if the operator said so', () => {
    const guardOf = (routes: readonly Route[]) => routes.find(({ path }) => path === '/metrics')?.guard;
    assert.ok('permission' in (guardOf(operations()) ?? {}));
    assert.ok('public' in (guardOf(operations({ metricsPublic: true })) ?? {}));
  });
});

describe('createOpenApi', () => {
  it('describes guard, parameters, body, answer and problems of each route', () => {
    const document = createOpenApi([route], { title: 'Modelkeep', version: '1.2.3' });
    assert.equal(document['openapi'], '3.1.0');
    const paths = document['paths'] as Record<string, Record<string, Record<string, unknown>>>;
    const operation = paths['/projects/{project}/models']?.['post'] ?? {};
    assert.equal(operation['x-permission'], 'model.create');
    assert.deepEqual(operation['parameters'], [
      { name: 'project', in: 'path', required: true, schema: { type: 'string', maxLength: 63 } },
      { name: 'dry', in: 'query', required: false, schema: { type: 'string', enum: ['yes', 'no'] } },
    ]);
    assert.deepEqual((operation['requestBody'] as { required: boolean }).required, true);
    assert.deepEqual(Object.keys(operation['responses'] as object), [
      '201',
      '400',
      '401',
      '403',
      '408',
      '413',
      '415',
      '422',
      '500',
      '503',
      '504',
    ]);
  });

  it('serves every route of the table, its own included', async (t) => {
    const { fetch } = await startServer(t, { extra: operations().filter(({ path }) => path !== '/livez') });
    const document = (await (await fetch('/openapi.json', { as: '' })).json()) as { paths: object };
    assert.deepEqual(
      Object.keys(document.paths).toSorted(),
      [route, ...operations()].map(({ path }) => path).toSorted(),
    );
  });
});

describe('compileRoutes', () => {
  it('refuses a table with a hole in it', () => {
    const refused: readonly (readonly [Route, RegExp])[] = [
      [{ ...route, guard: {} as Route['guard'] }, /needs a guard/],
      [{ ...route, guard: { public: '' } }, /needs a guard/],
      [{ ...route, audit: { none: 'because' } }, /must be audited/],
      [{ ...route, path: 'projects' }, /not a path template/],
      [{ ...route, path: '/projects/{p}x' }, /not a path template/],
      [{ ...route, path: '/projects/' }, /not a path template/],
      [{ ...route, method: 'GET' }, /a GET takes no body/],
      [{ ...route, method: 'GET', kind: 'effect' }, /a GET has no effect/],
    ];
    for (const [bad, message] of refused) assert.throws(() => compileRoutes([bad]), message);
    assert.throws(
      () => compileRoutes([route, { ...route, path: '/projects/{other}/models' }]),
      /has it twice/,
    );
    assert.equal(compileRoutes([route]).length, 1);
  });
});
