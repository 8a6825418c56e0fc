import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { memoryGateProblems } from './memory-gate.ts';
import { readProblem, sendRaw, startServer } from './server.harness.ts';

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
    const body = await readProblem(
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
      const body = await readProblem(response);
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
    const body = await readProblem(
      await fetch('/things', { method: 'POST', body: '{"size":1.5,"extra":true}' }),
    );
    const violations = body['violations'] as string[];
    assert.equal(violations.length, 3);
    assert.ok(violations.some((line) => line.startsWith('/body/name: ')));
    assert.ok(violations.some((line) => line.startsWith('/body/size: ')));
    assert.ok(violations.some((line) => line.includes('extra')));
  });

  it('says where JSON went wrong, which methods a path has, and what to authenticate with', async (t) => {
    const { fetch } = await startServer(t);
    const malformed = await readProblem(
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
    assert.match(String((await readProblem(response))['error']), /^\/body\/x: /);
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
    assert.equal((await readProblem(response))['code'], 'http.unrecorded');
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
