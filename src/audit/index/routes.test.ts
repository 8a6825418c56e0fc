import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import type { Call } from '../../http/route.ts';
import type { AuditIndex } from './audit-index.ts';
import { createTestSource, START, withIndex } from './harness.ts';
import { HOUR_MS } from './protocol.ts';
import { createSearchRoutes } from './routes.ts';

async function ask(
  index: AuditIndex,
  path: string,
  query: Readonly<Record<string, string | undefined>>,
): Promise<unknown> {
  const route = createSearchRoutes(index).find((each) => each.path === path);
  assert.ok(route, path);
  const call: Call = {
    params: {},
    query: route.request?.query?.parse(query) as Record<string, unknown>,
    body: undefined,
    bytes: new Uint8Array(),
    stream: Readable.from([]),
    headers: {},
    get caller(): never {
      throw new Error('these routes do not ask who calls');
    },
    requestId: 'req_1',
    source: { address: '127.0.0.1', port: 1 },
    signal: new AbortController().signal,
    note: () => {},
    require: () => {},
  };
  const { body } = await route.handle(call);
  route.response?.parse(body);
  return body;
}

const entries = '/api/v1/audit/entries';
const stats = '/api/v1/audit/stats';
const indices = (body: unknown): number[] =>
  (body as { entries: { index: number }[] }).entries.map((row) => row.index);

describe('the search routes', () => {
  it('are guarded at /audit, change nothing and are audited', async () => {
    await withIndex({ source: createTestSource() }, (index) => {
      assert.deepEqual(
        createSearchRoutes(index).map(({ method, path, guard, kind, audit }) => [
          `${method} ${path}`,
          'permission' in guard ? `${guard.permission} @ ${guard.scope({ params: {} })}` : 'open',
          kind,
          audit,
        ]),
        [
          [`GET ${entries}`, 'audit.search @ /audit', 'read', 'audit.search'],
          [`GET ${stats}`, 'audit.search @ /audit', 'read', 'audit.stats'],
        ],
      );
      return Promise.resolve();
    });
  });

  it('take every filter, and refuse one they do not know', async () => {
    const source = createTestSource();
    source.add(
      {},
      {
        principal: { kind: 'service_account', id: 'sa_1', name: 'scorer' },
        credential: { kind: 'api_key', id: 'key_9' },
        source: { address: '192.0.2.7', port: 4 },
        request: 'req_7',
        reason: 'access.denied',
        decision: 'deny',
        detail: { note: 'Rotated the WIDGET' },
      },
      {},
    );
    await withIndex({ source }, async (index) => {
      await index.settle();
      const filters = {
        principal: 'scorer',
        credential: 'key_9',
        action: 'model.*',
        resource: '/projects/fraud',
        decision: 'deny',
        reason: 'access.*',
        source: '192.0.2.7',
        request: 'req_7',
        q: 'widget',
      };
      assert.deepEqual(indices(await ask(index, entries, filters)), [1]);
      for (const name of [
        'principal',
        'credential',
        'decision',
        'reason',
        'source',
        'request',
        'q',
      ] as const) {
        assert.deepEqual(indices(await ask(index, entries, { [name]: filters[name] })), [1], name);
        if (name !== 'decision')
          assert.deepEqual(indices(await ask(index, entries, { [name]: 'other' })), [], name);
      }
      for (const query of [
        { sort: 'x' },
        { limit: '1001' },
        { from: 'yesterday' },
        { q: '' },
        { before: '-1' },
      ])
        await assert.rejects(ask(index, entries, query), {
          name: 'ZodError',
        });
    });
  });

  it('take times in any time zone', async () => {
    const source = createTestSource();
    source.add(...[0, 1, 2, 3].map((hour) => ({ time: new Date(START + hour * HOUR_MS).toISOString() })));
    await withIndex({ source }, async (index) => {
      for (const from of ['2026-01-01T02:00:00Z', '2026-01-01T07:30:00+05:30', '2025-12-31T18:00:00-08:00']) {
        assert.deepEqual(indices(await ask(index, entries, { from })), [3, 2], from);
        assert.equal(((await ask(index, stats, { from })) as { total: number }).total, 2, from);
      }
      const half = (await ask(index, stats, { from: '2026-01-01T02:30:00Z' })) as {
        from: string;
        total: number;
      };
      assert.deepEqual([half.from, half.total], ['2026-01-01T02:00:00.000Z', 2]);
      await assert.rejects(ask(index, entries, { from: '2026-01-01T02:00:00' }), { name: 'ZodError' });
    });
  });

  it('answer stats of an empty log', async () => {
    await withIndex({ source: createTestSource() }, async (index) => {
      const body = (await ask(index, stats, {})) as { total: number; series: unknown[]; from?: string };
      assert.deepEqual([body.total, body.series, body.from], [0, [], undefined]);
    });
  });
});
