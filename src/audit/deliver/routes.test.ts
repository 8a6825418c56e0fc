import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Call, Reply } from '../../http/route.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { ORIGIN } from './format/testing.ts';
import { createDeliveryRoutes } from './routes.ts';
import { createMemorySource } from './testing.ts';

const source = createMemorySource(createManualClock());
source.grow(3);
const status = {
  name: 'siem',
  kind: 'webhook',
  state: 'idle',
  next: 3,
  lagEntries: 0,
  lagMs: 0,
  deadLetters: 0,
  lastDeadLetters: [],
} as const;
const routes = createDeliveryRoutes({
  source,
  origin: ORIGIN,
  version: '0.1.0',
  delivery: { status: () => [status] },
});
const routeOf = (path: string) => {
  const route = routes.find((each) => each.path === path);
  assert.ok(route !== undefined);
  return route;
};

async function ask(path: string, query: Readonly<Record<string, string>> = {}) {
  const route = routeOf(path);
  const notes: unknown[] = [];
  const parsed = route.request?.query?.parse(query) ?? {};
  const call = { query: parsed, note: (facts: unknown) => notes.push(facts) } as unknown as Call;
  const reply: Reply = await route.handle(call);
  const body = route.response?.parse(reply.body) as Record<string, unknown>;
  return { body, notes };
}

describe('the routes of delivery', () => {
  it('ask for the sensitive permission to export, and for a plain one to look at the sinks', () => {
    assert.deepEqual(
      routes.map(({ guard }) => ('permission' in guard ? guard.permission : 'public')),
      ['audit.export', 'audit.read'],
    );
  });

  it('export lines, and note how much', async () => {
    const { body, notes } = await ask('/api/v1/audit/export', { format: 'cef', limit: '2' });
    const lines = body['lines'] as string[];
    assert.equal(lines.length, 2);
    assert.match(lines[0] ?? '', /^CEF:0\|Modelkeep\|Modelkeep\|0\.1\.0\|model\.invoke\|/);
    assert.equal(body['next'], 2);
    assert.deepEqual(notes, [{ detail: { format: 'cef', start: 0, lines: 2 } }]);
    assert.equal((await ask('/api/v1/audit/export', { start: '2' })).body['next'], undefined);
  });

  it('refuse a query that they do not know', () => {
    const { request } = routeOf('/api/v1/audit/export');
    for (const query of [
      { format: 'xml' },
      { limit: '0' },
      { start: '-1' },
      { from: 'soon' },
      { other: '1' },
    ])
      assert.equal(request?.query?.safeParse(query).success, false, JSON.stringify(query));
  });

  it('show how far each sink has come', async () => {
    assert.deepEqual((await ask('/api/v1/audit/sinks')).body, { sinks: [status] });
  });
});
