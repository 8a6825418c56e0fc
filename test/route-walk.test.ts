import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { loadConfig } from '../src/config/load.ts';
import type { Route } from '../src/http/route.ts';
import { createRouteTable } from '../src/server/route-table.ts';
import { openTemporaryHouse, type TemporaryHouse } from './support/temporary-house.ts';
import { PRESENT } from './support/trials.ts';

/** Each is public for a reason; a new one is the change under review. */
const PUBLIC = [
  'GET /livez',
  // Hashes alone: outsiders can check that the log only grows, and learn of no entry.
  'GET /log/checkpoint',
  'GET /log/tile/{level}/{a}',
  'GET /log/tile/{level}/{a}/{b}',
  'GET /log/tile/{level}/{a}/{b}/{c}',
  'GET /log/tile/{level}/{a}/{b}/{c}/{d}',
  'GET /openapi.json',
  'GET /problems',
  'GET /problems/{code}',
  'GET /readyz',
  'GET /v2',
  'GET /v2/health/live',
  'GET /v2/health/ready',
  'POST /api/v1/setup',
];

/** What every authenticated caller may do, because it concerns itself alone or the handler asks on. */
const OWN_ANSWERS = new Set([200, 400, 403, 404, 409, 415, 422]);

describe('every route', () => {
  let place: TemporaryHouse;
  let routes: readonly Route[];
  let powerless: string;

  before(async () => {
    place = await openTemporaryHouse();
    const config = loadConfig({ flags: {}, env: {}, homeDirectory: place.home, readFile: () => undefined });
    routes = createRouteTable({ keep: place.house.keep, config, metrics: new Registry(), release: '0' });
    await place.client.request({
      method: 'POST',
      path: '/api/v1/service-accounts',
      body: { name: 'powerless' },
    });
    const body = { owner: 'service-account:powerless' };
    const { key } = await place.client.request<{ key: string }>({
      method: 'POST',
      path: '/api/v1/api-keys',
      body,
    });
    powerless = `Bearer ${key}`;
  });
  after(() => place[Symbol.asyncDispose]());

  /** The status of `route` with every parameter filled in, and how many entries the attempt left. */
  async function attempt(route: Route, authorization?: string): Promise<{ status: number; entries: number }> {
    const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => PRESENT[name] ?? 'x');
    const takesJson = route.request?.body !== undefined && !('stream' in route.request.body);
    const audit = place.house.keep.audit;
    const before = audit.size();
    const response = await fetch(place.base + path, {
      method: route.method,
      headers: {
        ...(authorization === undefined ? {} : { authorization }),
        ...(takesJson ? { 'content-type': 'application/json' } : {}),
      },
      ...(takesJson ? { body: '{}' } : {}),
    });
    await response.arrayBuffer();
    return { status: response.status, entries: audit.size() - before };
  }

  it('is public by the pinned list alone', () => {
    const found = routes
      .filter(({ guard }) => 'public' in guard)
      .map(({ method, path }) => `${method} ${path}`);
    assert.ok(routes.length > 60, `only ${routes.length} routes were seen`);
    assert.deepEqual(found.toSorted(), PUBLIC);
  });

  it('refuses a request without a credential, and records it', async () => {
    for (const route of routes.filter(({ guard }) => !('public' in guard))) {
      const { status, entries } = await attempt(route);
      assert.equal(status, 401, `${route.method} ${route.path}`);
      assert.equal(entries, 1, `${route.method} ${route.path} left ${entries} entries`);
    }
  });

  it('refuses a principal without rights, and records it', async () => {
    for (const route of routes) {
      if (!('permission' in route.guard)) continue;
      const { status, entries } = await attempt(route, powerless);
      assert.equal(status, 403, `${route.method} ${route.path}`);
      assert.equal(entries, 1, `${route.method} ${route.path} left ${entries} entries`);
    }
  });

  it('gives a principal without rights nothing but answers about itself', async () => {
    for (const route of routes.filter(({ guard }) => 'authenticated' in guard)) {
      const { status } = await attempt(route, powerless);
      assert.ok(OWN_ANSWERS.has(status), `${route.method} ${route.path} answered ${status}`);
    }
    const list = await fetch(`${place.base}/api/v1/models`, { headers: { authorization: powerless } });
    assert.deepEqual(await list.json(), { models: [] });
  });

  it('answers an unknown path like a closed door: 401 to strangers, 404 to callers', async () => {
    const stranger = await fetch(`${place.base}/no/such/path`);
    const caller = await fetch(`${place.base}/no/such/path`, { headers: { authorization: powerless } });
    assert.deepEqual([stranger.status, caller.status], [401, 404]);
    await Promise.all([stranger.arrayBuffer(), caller.arrayBuffer()]);
  });
});
