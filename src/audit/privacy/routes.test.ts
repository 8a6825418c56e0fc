import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { AuditFacts, Call, Reply, Route } from '../../http/route.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import type { Hold, Holds } from './hold.ts';
import { privacyProblems } from './problems.ts';
import { createCustodyRoutes } from './routes.ts';

function start() {
  const erased: string[] = [];
  const notes: AuditFacts[] = [];
  let hold: Hold | undefined;
  const assertNone = async (): Promise<void> => {
    if (hold !== undefined) throw privacyProblems.held('held');
  };
  const holds: Holds = {
    current: async () => hold,
    set: async (next) => void (hold = next),
    async lift() {
      if (hold === undefined) throw privacyProblems.not_held('none');
      hold = undefined;
    },
    assertNone,
  };
  const plan = { policy: 'P1Y', keptFrom: '2025-01', first: 0, below: 0, size: 1 };
  const routes: readonly Route[] = createCustodyRoutes({
    privacy: { months: () => ['2026-10'], erase: async (month) => void erased.push(month) },
    retention: {
      plan: async () => ({ ...plan, held: hold !== undefined }),
      async apply() {
        await assertNone();
        return 256;
      },
    },
    holds,
    clock: createManualClock(),
  });
  async function ask(line: string, params: Record<string, string> = {}, body?: unknown): Promise<Reply> {
    const route = routes.find((each) => `${each.method} ${each.path}` === line);
    assert.ok(route, line);
    const schema = route.request?.body;
    const call = {
      params: route.request?.params?.parse(params) ?? {},
      body: schema !== undefined && 'parse' in schema ? schema.parse(body) : undefined,
      caller: { principal: { id: 'usr_1' } },
      note: (facts: AuditFacts) => notes.push(facts),
    };
    const reply = await route.handle(call as unknown as Call);
    if (route.response !== undefined) route.response.parse(reply.body);
    return reply;
  }
  return { routes, ask, erased, notes };
}

const held = (error: unknown): boolean => isProblem(error, privacyProblems.held);

describe('the custody routes', () => {
  it('need audit.configure for whatever destroys or forbids to, and are effects', () => {
    const rows = start().routes.map(({ method, path, guard, kind }) => [
      `${method} ${path}`,
      'permission' in guard ? `${guard.permission} @ ${guard.scope({ params: {} })}` : 'open',
      kind,
    ]);
    assert.deepEqual(rows, [
      ['GET /api/v1/audit/months', 'audit.read @ /audit', undefined],
      ['DELETE /api/v1/audit/months/{month}', 'audit.configure @ /audit', undefined],
      ['GET /api/v1/audit/retention', 'audit.read @ /audit', undefined],
      ['POST /api/v1/audit/retention/apply', 'audit.configure @ /audit', undefined],
      ['GET /api/v1/audit/hold', 'audit.read @ /audit', undefined],
      ['PUT /api/v1/audit/hold', 'audit.configure @ /audit', undefined],
      ['DELETE /api/v1/audit/hold', 'audit.configure @ /audit', undefined],
    ]);
  });

  it('erase nothing and delete nothing while a hold stands', async () => {
    const { ask, erased, notes } = start();
    const month = { month: '2026-10' };
    await ask('PUT /api/v1/audit/hold', {}, { reason: 'case 4711' });
    assert.equal(((await ask('GET /api/v1/audit/hold')).body as Hold).by, 'usr_1');
    await assert.rejects(ask('DELETE /api/v1/audit/months/{month}', month), held);
    await assert.rejects(ask('POST /api/v1/audit/retention/apply'), held);
    assert.deepEqual(erased, []);
    assert.deepEqual(notes.at(-1), { detail: { month: '2026-10' } }, 'the attempt says what was tried');
    await ask('DELETE /api/v1/audit/hold');
    await ask('DELETE /api/v1/audit/months/{month}', month);
    assert.deepEqual(erased, ['2026-10']);
    assert.deepEqual((await ask('POST /api/v1/audit/retention/apply')).body, { deleted: 256 });
    assert.deepEqual(notes.at(-1), { detail: { deleted: 256 } });
    await assert.rejects(ask('GET /api/v1/audit/hold'), (error) =>
      isProblem(error, privacyProblems.not_held),
    );
  });

  it('take nothing but a month', async () => {
    const { ask } = start();
    for (const month of ['2026-13', '..', '2026-1', '2026-10x'])
      await assert.rejects(ask('DELETE /api/v1/audit/months/{month}', { month }));
    await assert.rejects(ask('PUT /api/v1/audit/hold', {}, { reason: ' ' }));
  });
});
