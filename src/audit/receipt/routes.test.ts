import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import type { ZodType } from 'zod';
import type { Call, Reply, Route } from '../../http/route.ts';
import { startServer } from '../../http/server.harness.ts';
import type { Caller } from '../../kernel/principal.ts';
import { isProblem } from '../../kernel/problem.ts';
import { auditProblems } from '../problems.ts';
import { parseBundle } from '../tile.ts';
import { receiptProblems } from './problems.ts';
import { parseReceipt } from './receipt.ts';
import { createReceiptRoutes } from './routes.ts';
import { openTestLog, PREDICTION, type TestLog } from './testing.ts';
import { parseTilePath } from './tile-path.ts';
import { verifyReceipt } from './verify-receipt.ts';

let log: TestLog;
let routes: readonly Route[];
before(async () => {
  log = await openTestLog({ around: 300 });
  routes = createReceiptRoutes({ ...log, publicTree: true });
});
after(() => log[Symbol.asyncDispose]());

const ada: Caller = {
  principal: { kind: 'user', id: 'usr_ada', name: 'ada', groups: [] },
  credential: { kind: 'password', id: 'password:usr_ada' },
};
const eve: Caller = { ...ada, principal: { ...ada.principal, id: 'usr_eve', name: 'eve' } };
const withKey = (id: string): Caller => ({
  ...ada,
  credential: { kind: 'api_key', id, scopes: [{ permission: 'model.invoke', scope: '/' }] },
});

class Denied extends Error {}

interface Asking {
  readonly caller?: Caller;
  readonly auditor?: boolean;
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

/** Finds the route as the router does: a literal segment goes before a parameter. */
async function get(
  path: string,
  { caller = ada, auditor = false, query = {}, signal }: Asking = {},
): Promise<Reply> {
  const segments = path.split('/');
  const fits = routes.filter((route) => {
    const parts = route.path.split('/');
    return (
      parts.length === segments.length &&
      parts.every((part, at) => part.startsWith('{') || part === segments[at])
    );
  });
  const route = fits.toSorted((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
  assert.ok(route, path);
  const params: Record<string, string> = {};
  route.path.split('/').forEach((part, at) => {
    if (part.startsWith('{')) params[part.slice(1, -1)] = segments[at] as string;
  });
  const parse = (schema: ZodType | undefined, value: unknown): unknown =>
    schema === undefined ? value : schema.parse(value);
  const call: Call = {
    params: parse(route.request?.params, params) as Record<string, string>,
    query: parse(route.request?.query, query) as Record<string, unknown>,
    body: undefined,
    bytes: new Uint8Array(),
    stream: Readable.from([]),
    headers: {},
    caller,
    requestId: 'req_1',
    source: { address: '127.0.0.1', port: 1 },
    signal: signal ?? new AbortController().signal,
    note: () => {},
    require(permission, scope) {
      assert.deepEqual([permission, scope], ['audit.read', '/audit']);
      if (!auditor) throw new Denied();
    },
  };
  return route.handle(call);
}

const isMissing = (error: unknown): boolean => isProblem(error, receiptProblems.tile_not_found);

describe('the routes of receipts', () => {
  it('leave checkpoint and hash tiles open, if the tree is public, and entries never', () => {
    const guards = (publicTree: boolean): readonly string[] =>
      createReceiptRoutes({ ...log, publicTree }).map(({ path, guard }) => {
        const kind = 'permission' in guard ? `${guard.permission} @ ${guard.scope({ params: {} })}` : '';
        return `${path} ${'public' in guard ? 'public' : kind || 'authenticated'}`;
      });
    assert.deepEqual(guards(true), [
      '/log/receipts/{index} authenticated',
      '/log/checkpoint public',
      '/log/tile/{level}/{a} public',
      '/log/tile/{level}/{a}/{b} public',
      '/log/tile/{level}/{a}/{b}/{c} public',
      '/log/tile/{level}/{a}/{b}/{c}/{d} public',
      '/log/tile/entries/{a} audit.read @ /audit',
      '/log/tile/entries/{a}/{b} audit.read @ /audit',
      '/log/tile/entries/{a}/{b}/{c} audit.read @ /audit',
      '/log/tile/entries/{a}/{b}/{c}/{d} audit.read @ /audit',
    ]);
    assert.equal(guards(false).filter((line) => line.endsWith('audit.verify @ /audit')).length, 5);
  });

  it('give a receipt to whoever made the attempt', async () => {
    const { headers, body } = await get(`/log/receipts/${log.index}`);
    assert.equal(headers?.['content-type'], 'text/plain; charset=utf-8');
    assert.ok(verifyReceipt({ receipt: body as string, keys: [log.audit.vkey] }).ok);
  });

  it('give the receipts of others to auditors alone', async () => {
    const path = `/log/receipts/${log.index}`;
    await assert.rejects(get(path, { caller: eve }), Denied);
    const asAccount = { ...ada, principal: { ...ada.principal, kind: 'service_account' } } as const;
    await assert.rejects(get(path, { caller: asAccount }), Denied);
    assert.equal(parseReceipt((await get(path, { caller: eve, auditor: true })).body as string).index, 300);
  });

  it('give an API key with limits what was done with it, and not what its owner did besides', async () => {
    const path = `/log/receipts/${log.index}`;
    assert.ok((await get(path, { caller: withKey('key_1') })).body);
    await assert.rejects(get(path, { caller: withKey('key_2') }), Denied);
  });

  it('do not take an anonymous attempt in the name of the caller for its own', async () => {
    const { index } = await log.audit.append({
      ...PREDICTION,
      principal: { kind: 'anonymous', id: 'usr_ada' },
      decision: 'deny',
    });
    await assert.rejects(get(`/log/receipts/${index}`, { query: { wait: '1' } }), Denied);
  });

  it('wait for the checkpoint if asked, and no longer than the server does', async () => {
    const { index } = await log.audit.append(PREDICTION);
    const path = `/log/receipts/${index}`;
    const isPending = (error: unknown): boolean => isProblem(error, receiptProblems.receipt_pending);
    await assert.rejects(get(path), isPending);
    await assert.rejects(get(path, { query: { wait: '1' }, signal: AbortSignal.abort() }), isPending);
    const { body } = await get(path, { query: { wait: '1' } });
    assert.equal(parseReceipt(body as string).index, index);
    await assert.rejects(get(`/log/receipts/${index + 1}`), (error) =>
      isProblem(error, auditProblems.not_found),
    );
    for (const wrong of ['-1', '01', '1e3', '..', '9'.repeat(16)])
      await assert.rejects(get(`/log/receipts/${wrong}`));
    await assert.rejects(get(path, { query: { wait: '2' } }));
  });

  it('say that there is no such entry where retention has deleted it, and not that the log is damaged', async () => {
    const all = routes;
    const audit = { size: () => log.audit.size(), first: () => 5 };
    routes = createReceiptRoutes({ ...log, audit, publicTree: true });
    try {
      await assert.rejects(get('/log/receipts/4'), (error) => isProblem(error, auditProblems.not_found));
    } finally {
      routes = all;
    }
  });

  it('serve the checkpoint for a second, and tiles for ever', async () => {
    const checkpoint = await get('/log/checkpoint');
    assert.deepEqual(checkpoint.headers, {
      'content-type': 'text/plain; charset=utf-8',
      'cache-control': 'public, max-age=1',
    });
    assert.equal(checkpoint.body, await readFile(join(log.directory, 'checkpoint'), 'utf8'));
    const tile = await get('/log/tile/0/000');
    assert.deepEqual(tile.headers, {
      'content-type': 'application/octet-stream',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    assert.deepEqual(tile.body, await readFile(join(log.directory, 'tile/0/000')));
    const bundle = await get('/log/tile/entries/001');
    assert.deepEqual(bundle.headers, { 'content-type': 'application/octet-stream' });
    assert.deepEqual(bundle.body, await readFile(join(log.directory, 'tile/entries/001')));
    const guarded = createReceiptRoutes({ ...log, publicTree: false }).find(
      ({ path }) => path === '/log/checkpoint',
    );
    const { headers } = (await guarded?.handle({} as Call)) ?? {};
    assert.equal(headers?.['cache-control'], 'private, max-age=1');
  });

  it('serve a partial tile from the wider one that took its place', async () => {
    const full = (await get('/log/tile/0/001')).body as Uint8Array;
    assert.deepEqual((await get('/log/tile/0/001.p/7')).body, full.subarray(0, 7 * 32));
    const bundle = (await get('/log/tile/entries/001.p/7')).body as Uint8Array;
    const { entries, whole } = parseBundle(bundle);
    assert.ok(whole);
    assert.equal(entries.length, 7);
    await assert.rejects(get('/log/tile/0/002.p/255'), isMissing);
  });

  it('know no path but those of the specification, and leave the directory by none', async () => {
    await writeFile(join(log.directory, 'secret'), 'x');
    for (const path of [
      '/log/tile/0/002',
      '/log/tile/00/000',
      '/log/tile/64/000',
      '/log/tile/x/000',
      '/log/tile/-1/000',
      '/log/tile/0/0',
      '/log/tile/0/0000',
      '/log/tile/0/x000/000',
      '/log/tile/0/000.p/0',
      '/log/tile/0/000.p/256',
      '/log/tile/0/000.p/07',
      '/log/tile/0/000.p',
      '/log/tile/0/000/001',
      '/log/tile/0/..',
      '/log/tile/0/../../secret',
      '/log/tile/../secret',
      '/log/tile/entries/..',
      '/log/tile/entries/x001/../../state.json',
      '/log/tile/entries/000.p/0',
      '/log/tile/entries/999',
    ])
      await assert.rejects(get(path), isMissing, path);
    assert.deepEqual(parseTilePath(2, 'x001/x234/067.p/8'), { level: 2, index: 1_234_067, width: 8 });
    assert.equal(parseTilePath(64, '000'), undefined);
  });
});

describe('over a real server', () => {
  it('the router finds tiles, bundles and receipts, and no file besides', async (t) => {
    const { fetch, raw } = await startServer(t, { extra: routes });
    const status = async (path: string): Promise<number> => {
      const response = await fetch(path);
      await response.arrayBuffer();
      return response.status;
    };
    assert.equal(await status('/log/checkpoint'), 200);
    assert.equal(await status('/log/tile/0/001'), 200);
    assert.equal(await status('/log/tile/0/001.p/9'), 200);
    assert.equal(await status('/log/tile/1/000.p/2'), 200);
    assert.equal(await status('/log/tile/7/000'), 404);
    assert.equal(await status('/log/tile/0/x001/000'), 404);
    const tile = await fetch('/log/tile/0/001.p/9');
    assert.equal((await tile.arrayBuffer()).byteLength, 9 * 32);
    assert.equal(tile.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    for (const path of ['/log/tile/../state.json', '/log/tile/%2e%2e/state.json', '/log/tile/0/..%2f..%2f'])
      assert.match(
        await raw(`GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`),
        /^HTTP\/1.1 40[014]/,
      );
    for (const path of ['/log/tile/entries/001', '/log/receipts/5']) {
      assert.equal((await fetch(path, { as: 'nobody' })).status, 403, path);
      assert.equal((await fetch(path, { as: '' })).status, 401, path);
      assert.equal((await fetch(path)).status, 200, path);
    }
  });
});
