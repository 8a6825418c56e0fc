import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { Secret } from '../kernel/secret.ts';
import { memoryGateProblems } from './memory-gate.ts';
import type { Route } from './route.ts';
import { sendRaw, startServer } from './server.harness.ts';

const problem = async (response: Response): Promise<Record<string, unknown>> =>
  (await response.json()) as Record<string, unknown>;

describe('a request that passes', () => {
  it('is identified, authorised, handled and recorded, in this order', async (t) => {
    const { fetch, gate } = await startServer(t);
    const response = await fetch('/things/x1?limit=3');
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { thing: 'x1', limit: 3 });
    assert.deepEqual(
      gate.events.map(({ kind }) => kind),
      ['identify', 'authorize', 'record'],
    );
    const [record] = gate.records;
    assert.equal(record?.attempt.resource, '/things/x1');
    assert.equal(record?.attempt.route, '/things/{thing}');
    assert.equal(record?.outcome.decision, 'allow');
    assert.equal(record?.outcome.reason, 'allowed');
    assert.equal(response.headers.get('audit-index'), '0');
    assert.equal(response.headers.get('audit-leaf'), Buffer.alloc(32, 1).toString('base64'));
    assert.equal(response.headers.get('audit-nonce'), null);
    assert.equal(response.headers.get('x-request-id'), record?.attempt.requestId);
  });

  it('that has an effect begins before the handler and carries its start to the record', async (t) => {
    const { fetch, gate } = await startServer(t);
    const response = await fetch('/things', { method: 'POST', body: '{"name":"n"}' });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('location'), '/things/x');
    assert.deepEqual(
      gate.events.map(({ kind }) => kind),
      ['identify', 'authorize', 'begin', 'effect', 'record'],
    );
    const { outcome } = gate.records[0] as (typeof gate.records)[number];
    assert.equal(outcome.startId, 'start-3');
    assert.deepEqual(outcome.facts, { detail: { name: 'n', bytes: 12 } });
  });

  it('to a public route needs no credential and has no caller', async (t) => {
    const { fetch, gate } = await startServer(t);
    assert.equal((await fetch('/livez', { as: '' })).status, 200);
    assert.equal(gate.events.length, 0);
    assert.equal((await fetch('/setup', { as: '', method: 'POST', body: '{"token":"t"}' })).status, 204);
    assert.deepEqual(
      gate.events.map(({ kind }) => kind),
      ['begin', 'effect', 'record'],
    );
  });

  it('gets the security headers and nothing that names the software', async (t) => {
    const { fetch } = await startServer(t);
    for (const path of ['/whoami', '/nowhere', '/fail']) {
      const { headers } = await fetch(path);
      assert.match(
        headers.get('content-security-policy') ?? '',
        /default-src 'none'.*frame-ancestors 'none'/,
      );
      assert.equal(headers.get('x-content-type-options'), 'nosniff');
      assert.equal(headers.get('cache-control'), 'no-store');
      assert.equal(headers.get('referrer-policy'), 'no-referrer');
      assert.equal(headers.get('server'), null);
      assert.equal(headers.get('x-powered-by'), null);
      assert.equal(headers.get('strict-transport-security'), null);
    }
  });

  it('may stream its answer, and a HEAD gets the headers of the GET alone', async (t) => {
    const { fetch, gate } = await startServer(t);
    assert.equal(await (await fetch('/download')).text(), 'abcdef');
    const head = await fetch('/whoami', { method: 'HEAD' });
    assert.equal(head.status, 200);
    assert.equal(await head.text(), '');
    assert.equal(gate.records.length, 2);
  });

  it('never shows its credentials to a handler', async (t) => {
    const { fetch } = await startServer(t);
    const body = await problem(
      await fetch('/whoami', { headers: { 'x-api-key': 'k', cookie: 'c=1', 'x-other': 'o' } }),
    );
    const headers = body['headers'] as Record<string, string>;
    assert.equal(headers['x-other'], 'o');
    for (const name of ['authorization', 'cookie', 'x-api-key']) assert.equal(headers[name], undefined);
  });
});

describe('a refusal', () => {
  const cases: readonly (readonly [
    name: string,
    path: string,
    init: RequestInit & { as?: string; headers?: Record<string, string> },
    status: number,
    code: string,
  ])[] = [
    ['no credential', '/things/x', { as: '' }, 401, 'test.unauthenticated'],
    ['no credential on an unknown path', '/nowhere', { as: '' }, 401, 'test.unauthenticated'],
    ['no right', '/things/x', { as: 'nobody' }, 403, 'test.denied'],
    ['no right to metrics', '/counted', { as: 'nobody' }, 403, 'test.denied'],
    ['an unknown path', '/nowhere', {}, 404, 'http.not_found'],
    ['another method', '/things/x', { method: 'DELETE' }, 405, 'http.method_not_allowed'],
    ['bad JSON', '/things', { method: 'POST', body: '{"name":' }, 400, 'http.malformed_json'],
    [
      'duplicate keys',
      '/things',
      { method: 'POST', body: '{"name":"a","name":"b"}' },
      400,
      'http.malformed_json',
    ],
    ['deep nesting', '/things', { method: 'POST', body: '['.repeat(100_000) }, 400, 'http.malformed_json'],
    [
      'bad UTF-8',
      '/things',
      { method: 'POST', body: Buffer.from([0x22, 0xff, 0x22]) },
      400,
      'http.malformed_json',
    ],
    [
      'a __proto__ key',
      '/things',
      { method: 'POST', body: '{"__proto__":{"name":"a"}}' },
      400,
      'http.malformed_json',
    ],
    ['no body', '/things', { method: 'POST' }, 422, 'http.invalid'],
    ['a wrong shape', '/things', { method: 'POST', body: '{"name":1}' }, 422, 'http.invalid'],
    ['a wrong query', '/things/x?limit=99', {}, 422, 'http.invalid'],
    ['a repeated query parameter', '/things/x?limit=1&limit=2', {}, 400, 'http.bad_query'],
    [
      'a body that is not JSON',
      '/things',
      { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } },
      415,
      'http.unsupported_media_type',
    ],
    [
      'a compressed body',
      '/things',
      { method: 'POST', body: '{}', headers: { 'content-encoding': 'gzip' } },
      415,
      'http.unsupported_media_type',
    ],
    ['a body where none belongs', '/whoami2', { method: 'POST', body: '{}' }, 404, 'http.not_found'],
    [
      'an oversize body',
      '/things',
      { method: 'POST', body: JSON.stringify({ name: 'a'.repeat(2_000_000) }) },
      413,
      'http.body_too_large',
    ],
    ['a failing handler', '/fail', {}, 500, 'http.internal'],
  ];
  for (const [name, path, init, status, code] of cases) {
    it(`for ${name} is ${status} ${code}, recorded once, and runs nothing`, async (t) => {
      const { fetch, gate, handled } = await startServer(t);
      const response = await fetch(path, init);
      assert.equal(response.status, status);
      assert.equal(response.headers.get('content-type'), 'application/problem+json');
      const body = await problem(response);
      assert.equal(body['code'], code);
      assert.equal(body['type'], `/problems/${code}`);
      assert.equal(body['requestId'], response.headers.get('x-request-id'));
      assert.equal(gate.records.length, 1);
      assert.equal(gate.records[0]?.outcome.reason, code);
      assert.equal(gate.records[0]?.outcome.status, status);
      assert.equal(gate.records[0]?.outcome.decision, status === 401 || status === 403 ? 'deny' : 'error');
      assert.deepEqual(handled, []);
    });
  }

  it('lists every violation with its place at once', async (t) => {
    const { fetch } = await startServer(t);
    const body = await problem(await fetch('/things', { method: 'POST', body: '{"size":1.5,"extra":true}' }));
    const violations = body['violations'] as string[];
    assert.equal(violations.length, 3);
    assert.ok(violations.some((line) => line.startsWith('/body/name: ')));
    assert.ok(violations.some((line) => line.startsWith('/body/size: ')));
    assert.ok(violations.some((line) => line.includes('extra')));
  });

  it('says where JSON went wrong, which methods a path has, and what to authenticate with', async (t) => {
    const { fetch } = await startServer(t);
    const malformed = await problem(
      await fetch('/things', { method: 'POST', body: '{"name":"a","name":"b"}' }),
    );
    assert.equal(malformed['offset'], 12);
    assert.equal((await fetch('/things/x', { method: 'PUT' })).headers.get('allow'), 'GET, HEAD');
    assert.equal((await fetch('/whoami', { as: '' })).headers.get('www-authenticate'), 'Bearer');
  });

  it('takes the form that the protocol of the route brings', async (t) => {
    const { fetch } = await startServer(t);
    const response = await fetch('/protocol', { method: 'POST', body: '{"x":"no"}' });
    assert.equal(response.status, 422);
    assert.equal(response.headers.get('content-type'), 'application/json');
    assert.match(String((await problem(response))['error']), /^\/body\/x: /);
  });

  it('never carries the cause of a failure: that is in the operator log alone', async (t) => {
    const { fetch, lines } = await startServer(t);
    const response = await fetch('/fail');
    const everything = JSON.stringify([...response.headers]) + (await response.text());
    assert.ok(!everything.includes('hunter2') && !everything.includes('reading failed'));
    assert.ok(lines.some((line) => line.includes('hunter2') && line.includes('http.failed')));
  });

  it('comes before the body is read', async (t) => {
    const { gate, port } = await startServer(t);
    // Announces a megabyte, sends none of it: an answer can only come from a server that does not wait for it.
    const head =
      'POST /things HTTP/1.1\r\nHost: x\r\ncontent-type: application/json\r\nContent-Length: 1000000\r\n';
    const denied = await sendRaw(port, `${head}Authorization: Bearer nobody\r\n\r\n`);
    assert.match(denied, /^HTTP\/1\.1 403 /);
    const anonymous = await sendRaw(port, `${head}\r\n`);
    assert.match(anonymous, /^HTTP\/1\.1 401 /);
    assert.equal(gate.records.length, 2);
  });

  it('does not ask for a body that was only announced with an expectation', async (t) => {
    const { raw, gate } = await startServer(t);
    const head =
      'POST /things HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\ncontent-type: application/json\r\nContent-Length: 12\r\n';
    const refused = await raw(`${head}Authorization: Bearer nobody\r\n\r\n`);
    assert.match(refused, /^HTTP\/1\.1 403 /);
    const taken = await raw(`${head}Authorization: Bearer ada\r\nConnection: close\r\n\r\n{"name":"n"}`);
    assert.match(taken, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 201 /);
    const odd = await raw('GET /livez HTTP/1.1\r\nHost: x\r\nExpect: coffee\r\nConnection: close\r\n\r\n');
    assert.match(odd, /^HTTP\/1\.1 417 /);
    assert.equal(gate.records.length, 2);
  });
});

describe('recording', () => {
  it('that fails lets nothing out: the caller gets the problem of the log', async (t) => {
    const { fetch, gate } = await startServer(t);
    gate.failRecords(
      memoryGateProblems.unavailable('The log cannot be written.', { cause: new Error('disk hunter2') }),
    );
    for (const path of ['/whoami', '/download', '/nowhere']) {
      const response = await fetch(path);
      assert.equal(response.status, 503);
      const body = await response.text();
      assert.equal((JSON.parse(body) as { code: string }).code, 'test.unavailable');
      assert.ok(!body.includes('ada') && !body.includes('abc') && !body.includes('hunter2'));
      assert.equal(response.headers.get('audit-index'), null);
    }
    gate.failRecords(new Error('hunter2'));
    const response = await fetch('/whoami');
    assert.equal(response.status, 503);
    assert.equal((await problem(response))['code'], 'http.unrecorded');
  });

  it('that cannot begin means that the effect does not happen', async (t) => {
    const { fetch, gate, handled } = await startServer(t);
    gate.failBegin(memoryGateProblems.unavailable('The log cannot be written.'));
    const response = await fetch('/things', { method: 'POST', body: '{"name":"n"}' });
    assert.equal(response.status, 503);
    assert.deepEqual(handled, []);
    assert.equal(gate.records[0]?.outcome.startId, undefined);
  });

  it('is skipped for operations that are counted, but not for their refusals', async (t) => {
    const { fetch, gate } = await startServer(t);
    assert.equal((await fetch('/counted')).status, 200);
    assert.equal(gate.records.length, 0);
    assert.equal((await fetch('/counted', { as: '' })).status, 401);
    assert.equal(gate.records.length, 1);
    assert.equal(gate.records[0]?.attempt.action, 'system.metrics');
  });
});

describe('listeners', () => {
  it('share one route table: TCP, a socket file of mode 0600, and the process itself', async (t) => {
    const { server, fetch, gate } = await startServer(t);
    const directory = mkdtempSync(join(tmpdir(), 'keep-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'admin.sock');
    await server.listen({ path });
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const local = await new Promise<http.IncomingMessage>((resolve, reject) => {
      http.get({ socketPath: path, path: '/whoami' }, resolve).on('error', reject);
    });
    assert.match(await text(local), /"name":"owner"/);
    const inside = await server.inject({ method: 'GET', url: '/whoami' });
    assert.equal(inside.status, 200);
    assert.match(Buffer.from(await inside.bytes()).toString(), /"name":"owner"/);
    assert.equal((await fetch('/whoami')).status, 200);
    assert.deepEqual(
      gate.records.map(({ attempt }) => attempt.listener),
      ['local', 'in-process', 'tcp'],
    );
  });

  it('takes the place of a stale socket file', async (t) => {
    const first = await startServer(t);
    const second = await startServer(t);
    const directory = mkdtempSync(join(tmpdir(), 'keep-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    await first.server.listen({ path: join(directory, 's') });
    await second.server.listen({ path: join(directory, 's') });
    assert.equal(second.server.addresses().length, 2);
  });

  it('explains why it cannot listen', async (t) => {
    const { server, port } = await startServer(t);
    await assert.rejects(server.listen({ host: '127.0.0.1', port }), {
      code: 'http.cannot_listen',
      detail: /in use/,
    });
    await assert.rejects(server.listen({ path: '/nowhere/at/all/s' }), { code: 'http.cannot_listen' });
  });

  it('inject carries bodies and streams both ways', async (t) => {
    const { server } = await startServer(t);
    const body = Buffer.alloc(50_000, 7);
    const type = { 'content-type': 'application/octet-stream' };
    const uploaded = await server.inject({ method: 'POST', url: '/upload', body, headers: type });
    assert.equal(Buffer.from(await uploaded.bytes()).toString(), '{"size":50000}');
    const downloaded = await server.inject({ method: 'GET', url: '/download' });
    assert.equal(await text(downloaded.stream), 'abcdef');
  });

  it('speaks TLS with HSTS when it has a certificate', async (t) => {
    const read = (name: string): string => readFileSync(new URL(`testdata/${name}`, import.meta.url), 'utf8');
    const cert = read('localhost.crt');
    const { port } = await startServer(t, { tls: { cert, key: new Secret(read('localhost.key')) } });
    const get = (options: https.RequestOptions): Promise<http.IncomingMessage> =>
      new Promise((resolve, reject) => {
        https
          .get({ host: '127.0.0.1', port, path: '/livez', agent: false, ca: cert, ...options }, resolve)
          .on('error', reject);
      });
    const response = await get({});
    assert.equal(response.statusCode, 200);
    assert.match(response.headers['strict-transport-security'] ?? '', /max-age=31536000/);
    response.resume();
    await assert.rejects(get({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }));
    assert.equal(await sendRaw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => ''), '');
  });
});

describe('a graceful stop', () => {
  const slow = (gates: { started: () => void; go: Promise<void> }): Route => ({
    method: 'POST',
    path: '/slow',
    guard: { authenticated: 'a test' },
    audit: 'slow',
    tag: 'test',
    summary: 'Waits',
    handle: async () => {
      gates.started();
      await gates.go;
      return { body: { done: true } };
    },
  });

  it('finishes what is in flight, records it, and accepts nothing more', async (t) => {
    const started = Promise.withResolvers<void>();
    const go = Promise.withResolvers<void>();
    const { server, fetch, gate, port } = await startServer(t, {
      extra: [slow({ started: started.resolve, go: go.promise })],
    });
    const answer = fetch('/slow', { method: 'POST' });
    await started.promise;
    const closed = server.close(5_000);
    await assert.rejects(sendRaw(port, 'GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'));
    go.resolve();
    const response = await answer;
    assert.equal(response.headers.get('connection'), 'close');
    assert.deepEqual(await response.json(), { done: true });
    assert.deepEqual(await closed, { aborted: 0 });
    assert.equal(gate.records.length, 1);
  });

  it('tells what outlasts its deadline to stop, and still records it', async (t) => {
    const started = Promise.withResolvers<void>();
    const waits: Route = {
      ...slow({ started: () => {}, go: Promise.resolve() }),
      handle: ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new Error('stopped')));
          started.resolve();
        }),
    };
    const { server, fetch, gate } = await startServer(t, { extra: [waits] });
    const answer = fetch('/slow', { method: 'POST' });
    await started.promise;
    assert.deepEqual(await server.close(1), { aborted: 1 });
    assert.equal((await answer).status, 504);
    assert.equal(gate.records[0]?.outcome.reason, 'http.deadline');
  });
});
