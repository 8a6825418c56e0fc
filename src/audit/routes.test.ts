import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import type { ZodType } from 'zod';
import type { AuditFacts, Call, Reply, Route } from '../http/route.ts';
import { isProblem } from '../kernel/problem.ts';
import { draft } from './audit-log.contract.ts';
import { createMemoryAuditLog, type MemoryAuditLog } from './memory-log.ts';
import { auditProblems } from './problems.ts';
import { createAuditRoutes } from './routes.ts';

const ask = async (
  log: MemoryAuditLog,
  line: string,
  {
    params = {},
    query = {},
  }: { params?: Record<string, string>; query?: Readonly<Record<string, string | undefined>> } = {},
  notes: AuditFacts[] = [],
): Promise<Reply> => {
  const route = createAuditRoutes(log).find((each) => `${each.method} ${each.path}` === line);
  assert.ok(route, line);
  const call: Call = {
    params: parse(route.request?.params, params) as Record<string, string>,
    query: parse(route.request?.query, query) as Record<string, unknown>,
    body: undefined,
    bytes: new Uint8Array(),
    stream: Readable.from([]),
    headers: {},
    get caller(): never {
      throw new Error('the audit routes do not ask who calls');
    },
    requestId: 'req_1',
    source: { address: '127.0.0.1', port: 1 },
    signal: new AbortController().signal,
    note: (facts) => notes.push(facts),
    require: () => {},
  };
  const reply = await route.handle(call);
  if (route.response !== undefined) route.response.parse(reply.body);
  return reply;
};

const parse = (schema: ZodType | undefined, value: unknown): unknown =>
  schema === undefined ? value : schema.parse(value);

describe('the audit routes', () => {
  it('are guarded at /audit and change nothing', () => {
    const routes: readonly Route[] = createAuditRoutes(createMemoryAuditLog());
    assert.deepEqual(
      routes.map(({ method, path, guard }) => [
        `${method} ${path}`,
        'permission' in guard ? `${guard.permission} @ ${guard.scope({ params: {} })}` : 'open',
      ]),
      [
        ['GET /api/v1/audit/entries/{index}', 'audit.read @ /audit'],
        ['GET /api/v1/audit/checkpoint', 'audit.verify @ /audit'],
        ['GET /api/v1/audit/vkey', 'audit.verify @ /audit'],
        ['POST /api/v1/audit/verify', 'audit.verify @ /audit'],
      ],
    );
    assert.ok(routes.every(({ kind }) => kind === 'read'));
  });

  it('show one entry, or say that there is none', async () => {
    const log = createMemoryAuditLog();
    const { id } = await log.append(draft());
    const { body } = await ask(log, 'GET /api/v1/audit/entries/{index}', { params: { index: '0' } });
    assert.equal((body as { entry: { id: string } }).entry.id, id);
    await assert.rejects(ask(log, 'GET /api/v1/audit/entries/{index}', { params: { index: '1' } }), (error) =>
      isProblem(error, auditProblems.not_found),
    );
  });

  it('show the checkpoint and the key that opens it, and note what a check found', async () => {
    const log = createMemoryAuditLog();
    await log.append(draft());
    const checkpoint = await ask(log, 'GET /api/v1/audit/checkpoint');
    assert.match(checkpoint.body as string, /^memory\.test\/audit\n1\n/);
    assert.equal(checkpoint.headers?.['content-type'], 'text/plain; charset=utf-8');
    assert.deepEqual((await ask(log, 'GET /api/v1/audit/vkey')).body, {
      vkey: log.vkey,
      vkeys: [log.vkey],
    });
    const notes: AuditFacts[] = [];
    const { body } = await ask(log, 'POST /api/v1/audit/verify', {}, notes);
    assert.equal((body as { ok: boolean }).ok, true);
    assert.deepEqual(notes, [{ detail: { ok: true, size: 1 } }]);
  });
});
