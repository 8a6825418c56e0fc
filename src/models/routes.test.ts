import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { buildPolarity } from '../../examples/polarity.ts';
import type { AuditFacts, Call, Reply } from '../http/route.ts';
import { createManualClock } from '../kernel/clock.ts';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import { createMemoryStore } from './memory-store.ts';
import { modelsProblems } from './problems.ts';
import { createRegistryOn } from './registry.ts';
import { createModelRoutes } from './routes.ts';
import {
  collect,
  createMemoryBlobs,
  createTestRing,
  sha256,
  streamOf,
  testCipher,
  testInspector,
} from './testing.ts';

const polarity = buildPolarity();
const MODEL = '/api/v1/projects/{project}/models/{model}';
const model = { project: 'fraud', model: 'score' };

interface Sent extends Partial<Pick<Call, 'params' | 'query' | 'body'>> {
  readonly stream?: Uint8Array;
}

/** The routes as the transport calls them: parsed parts in, reply, facts and further decisions out. */
async function open({ visible = () => true }: { visible?: (caller: unknown, path: string) => boolean } = {}) {
  const clock = createManualClock();
  const blobs = createMemoryBlobs(clock.now());
  const registry = await createRegistryOn({
    store: createMemoryStore(),
    blobs,
    keyRing: createTestRing(),
    cipher: testCipher,
    inspector: testInspector,
    clock,
  });
  const routes = createModelRoutes({ registry, visible, clock });
  await registry.createProject('fraud');
  async function send(name: string, { params = model, query = {}, body, stream = polarity }: Sent = {}) {
    const route = routes.find(({ method, path }) => `${method} ${path}` === name);
    assert.ok(route !== undefined, name);
    const facts: AuditFacts[] = [];
    const required: string[] = [];
    const reply: Reply = await route.handle({
      params,
      query,
      body,
      bytes: new Uint8Array(),
      stream: Readable.from([Buffer.from(stream)]),
      headers: {},
      caller: {
        principal: { kind: 'user', id: 'usr_1', name: 'ada', groups: [] },
        credential: { kind: 'password', id: 'password:usr_1' },
      },
      requestId: 'req_1',
      source: { address: '127.0.0.1', port: 1 },
      signal: new AbortController().signal,
      note: (more) => void facts.push(more),
      require: (permission, scope) => void required.push(`${permission} ${scope}`),
    });
    route.response?.parse(reply.body);
    return {
      status: reply.status ?? route.status ?? 200,
      reply,
      facts: Object.assign({}, ...facts),
      required,
    };
  }
  return { send, routes, registry, blobs, clock };
}

const is = (definition: ProblemDefinition) => (error: unknown) => isProblem(error, definition);

describe('the model routes', () => {
  test('every route is guarded at the path that it names', async () => {
    const { routes } = await open();
    const params = { ...model, version: '3', alias: 'production' };
    const guards = routes.map(({ method, path, guard }) => {
      const scope =
        'permission' in guard ? `${guard.permission} ${guard.scope({ params })}` : Object.keys(guard)[0];
      return `${method} ${path.replace('/api/v1', '')}: ${scope}`;
    });
    assert.deepEqual(guards, [
      'GET /projects: project.list /projects',
      'POST /projects: project.create /projects',
      'GET /models: authenticated',
      'GET /projects/{project}/models/{model}: model.read /projects/fraud/models/score',
      'DELETE /projects/{project}/models/{model}: model.delete /projects/fraud/models/score',
      'POST /projects/{project}/models/{model}/versions: version.create /projects/fraud/models/score',
      'GET /projects/{project}/models/{model}/versions/{version}: version.read /projects/fraud/models/score/versions/3',
      'DELETE /projects/{project}/models/{model}/versions/{version}: version.delete /projects/fraud/models/score/versions/3',
      'GET /projects/{project}/models/{model}/versions/{version}/artifact: model.download /projects/fraud/models/score/versions/3',
      'PUT /projects/{project}/models/{model}/aliases/{alias}: version.promote /projects/fraud/models/score',
      'DELETE /projects/{project}/models/{model}/aliases/{alias}: version.promote /projects/fraud/models/score',
      'GET /models/stray-blobs: system.read /',
      'DELETE /models/stray-blobs: system.configure /',
    ]);
  });

  test('adding answers the version, and the entry names it with its digest', async () => {
    const { send } = await open();
    const first = await send(`POST ${MODEL}/versions`, { query: { description: 'signs' } });
    assert.equal(first.status, 201);
    assert.deepEqual(first.facts, {
      resource: '/projects/fraud/models/score/versions/1',
      model: { version: '1', digest: sha256(polarity) },
    });
    assert.deepEqual(first.required, ['model.create /projects/fraud/models/score']);
    const second = await send(`POST ${MODEL}/versions`, { query: { alias: 'staging' } });
    assert.deepEqual(second.required, ['version.promote /projects/fraud/models/score']);
  });

  test('a refused file is a problem with its findings', async () => {
    const { send } = await open();
    const stream = Buffer.from('PK\x03\x04');
    await assert.rejects(send(`POST ${MODEL}/versions`, { stream }), is(modelsProblems.model_rejected));
  });

  test('a model is shown, listed to those who may read it, and removed', async () => {
    const { send } = await open();
    await send(`POST ${MODEL}/versions`);
    const { reply } = await send(`GET ${MODEL}`);
    const shown = reply.body as { versions: { number: number; createdAt: string }[]; aliases: object };
    assert.deepEqual(shown.aliases, { production: 1 });
    assert.equal(shown.versions[0]?.createdAt, '2026-01-01T00:00:00.000Z');
    const listed = await send('GET /api/v1/models');
    assert.equal((listed.reply.body as { models: unknown[] }).models.length, 1);
    await send(`DELETE ${MODEL}`);
    await assert.rejects(send(`GET ${MODEL}`), is(modelsProblems.model_unknown));
  });

  test('a list holds only what the caller may read', async () => {
    const asked: string[] = [];
    const { send } = await open({ visible: (_, path) => asked.push(path) === 0 });
    await send(`POST ${MODEL}/versions`);
    assert.deepEqual((await send('GET /api/v1/models')).reply.body, { models: [] });
    assert.deepEqual(asked, ['/projects/fraud/models/score']);
  });

  test('a version is shown, downloaded and removed by its number in its only spelling', async () => {
    const { send } = await open();
    await send(`POST ${MODEL}/versions`);
    await send(`POST ${MODEL}/versions`);
    const params = { ...model, version: '2' };
    assert.equal(
      ((await send(`GET ${MODEL}/versions/{version}`, { params })).reply.body as { number: number }).number,
      2,
    );
    const { reply, facts } = await send(`GET ${MODEL}/versions/{version}/artifact`, { params });
    assert.deepEqual(await collect(reply.body as AsyncIterable<Uint8Array>), Buffer.from(polarity));
    assert.equal(reply.headers?.['content-length'], String(polarity.length));
    assert.equal(reply.headers?.['content-type'], 'application/octet-stream');
    assert.equal(facts.model.digest, sha256(polarity));
    await send(`DELETE ${MODEL}/versions/{version}`, { params });
    for (const version of ['2', '02', '+1', '1e0', '1.0', 'production', '']) {
      await assert.rejects(
        send(`GET ${MODEL}/versions/{version}`, { params: { ...model, version } }),
        is(modelsProblems.version_unknown),
      );
    }
  });

  test('a damaged artifact is a problem before the first byte of an answer', async () => {
    const { send, blobs } = await open();
    await send(`POST ${MODEL}/versions`);
    for (const bytes of blobs.blobs.values()) bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await assert.rejects(
      send(`GET ${MODEL}/versions/{version}/artifact`, { params: { ...model, version: '1' } }),
      is(modelsProblems.artifact_corrupt),
    );
  });

  test('stray blobs are listed, and removed once they are older than a week, or at once on demand', async () => {
    const { send, blobs, clock } = await open();
    await send(`POST ${MODEL}/versions`);
    const { name } = await blobs.put(streamOf(Uint8Array.of(1, 2, 3)));
    const path = '/api/v1/models/stray-blobs';
    const stray = { name, bytes: 3, modifiedAt: '2026-01-01T00:00:00.000Z' };
    const week = 7 * 86_400_000;
    clock.advance(week);
    const listed = async () => (await send(`GET ${path}`)).reply.body;
    assert.deepEqual(await listed(), { blobs: [{ ...stray, removable: false }] });
    assert.deepEqual((await send(`DELETE ${path}`)).reply.body, { removed: [] });
    clock.advance(1);
    assert.deepEqual(await listed(), { blobs: [{ ...stray, removable: true }] });
    const { reply, facts } = await send(`DELETE ${path}`);
    assert.deepEqual(reply.body, { removed: [stray] });
    assert.deepEqual(facts.detail, { blobs: 1, now: false });
    blobs.modified.set((await blobs.put(streamOf(Uint8Array.of(4)))).name, clock.now());
    const young = await send(`DELETE ${path}`, { query: { now: 'true' } });
    assert.equal((young.reply.body as { removed: unknown[] }).removed.length, 1);
    assert.equal(blobs.blobs.size, 1);
  });

  test('an alias is set and removed', async () => {
    const { send, registry } = await open();
    await send(`POST ${MODEL}/versions`);
    const params = { ...model, alias: 'staging' };
    const { facts } = await send(`PUT ${MODEL}/aliases/{alias}`, { params, body: { version: 1 } });
    assert.deepEqual(facts.detail, { alias: 'staging' });
    assert.equal(registry.resolve({ ...model, alias: 'staging' })?.number, 1);
    assert.equal((await send(`DELETE ${MODEL}/aliases/{alias}`, { params })).status, 204);
    await assert.rejects(
      send(`DELETE ${MODEL}/aliases/{alias}`, { params }),
      is(modelsProblems.alias_unknown),
    );
  });

  test('projects are created once and listed by name', async () => {
    const { send } = await open();
    assert.equal((await send('POST /api/v1/projects', { body: { name: 'default' } })).status, 201);
    await assert.rejects(
      send('POST /api/v1/projects', { body: { name: 'default' } }),
      is(modelsProblems.project_exists),
    );
    const { projects } = (await send('GET /api/v1/projects')).reply.body as { projects: { name: string }[] };
    assert.deepEqual(
      projects.map(({ name }) => name),
      ['default', 'fraud'],
    );
  });
});
