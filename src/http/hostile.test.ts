import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it } from 'node:test';
import type { Route } from './route.ts';
import { type Harness, startServer } from './server.harness.ts';

const HEAD = 'Host: x\r\nAuthorization: Bearer ada\r\n';
const JSON_HEAD = `${HEAD}content-type: application/json\r\n`;
const CLOSE = 'Connection: close\r\n';

/** Waits until `count` attempts are recorded; the test's own time limit is the bound. */
async function recorded({ gate }: Harness, count: number): Promise<Harness['gate']['records']> {
  while (gate.records.length < count) await new Promise((resolve) => setImmediate(resolve));
  return gate.records;
}

describe('hostile bytes', { timeout: 20_000 }, () => {
  const refusals: readonly (readonly [name: string, bytes: string, status: number, code: string])[] = [
    ['garbage', '\x16\x03\x01\x02\x00 not http\r\n\r\n', 400, 'http.malformed'],
    ['a header without a colon', 'GET /livez HTTP/1.1\r\nHost x\r\n\r\n', 400, 'http.malformed'],
    ['a folded header', `GET /whoami HTTP/1.1\r\n${HEAD}a: b\r\n c\r\n\r\n`, 400, 'http.malformed'],
    [
      'a space before the colon',
      `POST /things HTTP/1.1\r\n${HEAD}Content-Length : 3\r\n\r\nabc`,
      400,
      'http.malformed',
    ],
    [
      'Content-Length beside Transfer-Encoding',
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      400,
      'http.malformed',
    ],
    [
      'two Content-Lengths',
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`,
      400,
      'http.malformed',
    ],
    [
      'a signed Content-Length',
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: +2\r\n\r\n{}`,
      400,
      'http.malformed',
    ],
    [
      'a transfer coding that hides chunked',
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: xchunked\r\n\r\n`,
      400,
      'http.bad_headers',
    ],
    [
      'headers beyond their limit',
      `GET /whoami HTTP/1.1\r\n${HEAD}x: ${'a'.repeat(40_000)}\r\n\r\n`,
      431,
      'http.headers_too_large',
    ],
    [
      'more headers than their limit',
      `GET /whoami HTTP/1.1\r\n${HEAD}${'x: y\r\n'.repeat(200)}${CLOSE}\r\n`,
      431,
      'http.headers_too_large',
    ],
    [
      'a bad chunk size',
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\nzz\r\n`,
      400,
      'http.malformed',
    ],
    ['no Host', `GET /whoami HTTP/1.1\r\nAuthorization: Bearer ada\r\n${CLOSE}\r\n`, 400, 'http.bad_host'],
    ['two Hosts', `GET /whoami HTTP/1.1\r\nHost: a\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_headers'],
    [
      'a Host that is a URL',
      `GET /whoami HTTP/1.1\r\nHost: localhost:4000/#@x\r\n${CLOSE}\r\n`,
      400,
      'http.bad_host',
    ],
    [
      'two Authorization headers',
      `GET /whoami HTTP/1.1\r\n${HEAD}Authorization: Bearer eve\r\n${CLOSE}\r\n`,
      400,
      'http.bad_headers',
    ],
    ['the absolute form', `GET http://evil/whoami HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['a dot segment', `GET /things/../whoami HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['an encoded dot segment', `GET /things/%2e%2E HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['an encoded slash', `GET /things/a%2fb HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['a NUL', `GET /things/a%00 HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['an empty segment', `GET //whoami HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    ['a broken escape', `GET /things/%zz HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`, 400, 'http.bad_path'],
    [
      'a segment that is too long',
      `GET /things/${'a'.repeat(300)} HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`,
      400,
      'http.bad_path',
    ],
    ['a tunnel', `CONNECT x:80 HTTP/1.1\r\n${HEAD}\r\n`, 405, 'http.method_not_allowed'],
    [
      'a method that nobody has',
      `PROPFIND /whoami HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`,
      405,
      'http.method_not_allowed',
    ],
  ];
  for (const [name, bytes, status, code] of refusals) {
    it(`refuses ${name} with ${code}, recorded once`, async (t) => {
      const harness = await startServer(t);
      const answer = await harness.raw(bytes);
      assert.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `));
      assert.match(answer, new RegExp(`"code":"${code.replace('.', '\\.')}"`));
      assert.equal(harness.gate.records.length, 1);
      assert.equal(harness.gate.records[0]?.outcome.reason, code);
      assert.deepEqual(harness.handled, []);
    });
  }

  it('answers pipelined requests in order, each recorded', async (t) => {
    const { raw, gate } = await startServer(t);
    const body = '{"name":"n"}';
    const post = `POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: ${body.length}\r\n\r\n${body}`;
    const answer = await raw(
      `${post}GET /things/b HTTP/1.1\r\n${HEAD}\r\nGET /nowhere HTTP/1.1\r\n${HEAD}${CLOSE}\r\n`,
    );
    assert.deepEqual(
      [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status),
      ['201', '200', '404'],
    );
    assert.equal(gate.records.length, 3);
  });

  it('answers what came before garbage on the same connection, then refuses the garbage', async (t) => {
    const { raw, gate } = await startServer(t);
    const answer = await raw(`GET /things/a HTTP/1.1\r\n${HEAD}\r\n\x00\x01garbage\r\n\r\n`);
    assert.deepEqual(
      [...answer.matchAll(/HTTP\/1\.1 (\d+) /g)].map(([, status]) => status),
      ['200', '400'],
    );
    assert.deepEqual(
      gate.records.map(({ outcome }) => outcome.status).toSorted((a, b) => a - b),
      [200, 400],
    );
  });

  it('cuts a body that dribbles in, with 408', async (t) => {
    const { raw, gate, handled } = await startServer(t, { limits: { bodyMs: 40 } });
    const answer = await raw(`POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: 500\r\n\r\n{"na`);
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.equal(gate.records.length, 1);
    assert.deepEqual(handled, []);
  });

  it('cuts headers that dribble in, with 408', async (t) => {
    const { raw, gate } = await startServer(t, { limits: { headersMs: 60 } });
    const answer = await raw('GET /whoami HTTP/1.1\r\nHost: x\r\n');
    assert.match(answer, /^HTTP\/1\.1 408 /);
    assert.equal(gate.records[0]?.outcome.reason, 'http.slow_request');
    assert.equal(gate.records.length, 1);
  });

  it('cuts a stream that falls silent, and one that is larger than its route takes', async (t) => {
    const { raw, gate } = await startServer(t, { limits: { streamIdleMs: 40 } });
    const head = `POST /upload HTTP/1.1\r\n${HEAD}content-type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n${CLOSE}\r\n`;
    assert.match(await raw(`${head}3\r\nabc\r\n`), /^HTTP\/1\.1 408 /);
    const large = `${(150_000).toString(16)}\r\n${'x'.repeat(150_000)}\r\n0\r\n\r\n`;
    assert.match(await raw(head + large), /^HTTP\/1\.1 413 /);
    assert.match(await raw(`${head}3\r\nabc\r\n0\r\n\r\n`), /^HTTP\/1\.1 200 [^]*\{"size":3\}$/);
    assert.equal(gate.records.length, 3);
    assert.deepEqual(
      gate.records.map(({ outcome }) => outcome.startId !== undefined),
      [true, true, true],
    );
  });

  it('refuses a chunked body as soon as it is too large, without its end', async (t) => {
    const { raw, gate } = await startServer(t, { limits: { bodyBytesMax: 1_000 } });
    const chunk = `${(2_000).toString(16)}\r\n${'x'.repeat(2_000)}\r\n`;
    const answer = await raw(
      `POST /things HTTP/1.1\r\n${JSON_HEAD}Transfer-Encoding: chunked\r\n\r\n${chunk}`,
    );
    assert.match(answer, /^HTTP\/1\.1 413 /);
    assert.equal(gate.records.length, 1);
  });

  it('records a client that goes away in the middle of its body, and runs nothing', async (t) => {
    const harness = await startServer(t);
    const socket = connect(harness.port, '127.0.0.1');
    socket.write(`POST /things HTTP/1.1\r\n${JSON_HEAD}Content-Length: 500\r\n\r\n{"na`);
    while (!harness.gate.events.some(({ kind }) => kind === 'authorize')) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    socket.resetAndDestroy();
    const [record] = await recorded(harness, 1);
    assert.ok(['http.client_gone', 'http.malformed'].includes(record?.outcome.reason ?? ''));
    assert.deepEqual(harness.handled, []);
  });

  it('cuts a client that stops reading an endless answer', async (t) => {
    const cut = Promise.withResolvers<void>();
    async function* endless(): AsyncGenerator<Buffer> {
      try {
        for (;;) yield Buffer.alloc(65_536);
      } finally {
        cut.resolve();
      }
    }
    const route: Route = {
      method: 'GET',
      path: '/endless',
      guard: { authenticated: 'a test' },
      audit: 'endless',
      tag: 'test',
      summary: 'Never ends',
      handle: () => ({ body: endless() }),
    };
    const { port, gate } = await startServer(t, { extra: [route], limits: { streamIdleMs: 60 } });
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {}).write(`GET /endless HTTP/1.1\r\n${HEAD}\r\n`);
    socket.pause();
    await cut.promise;
    assert.equal(gate.records.length, 1);
  });

  it('drops connections beyond the limit and serves the others', async (t) => {
    const { port, raw } = await startServer(t, { limits: { connectionsMax: 1 } });
    const first = connect(port, '127.0.0.1');
    await once(first, 'connect');
    first.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(first, 'data');
    assert.equal(await raw('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n').catch(() => ''), '');
    first.end('GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    const [last] = (await once(first, 'data')) as [Buffer];
    assert.match(last.toString(), /^HTTP\/1\.1 200 /);
  });

  it('believes x-forwarded-for from a trusted proxy alone', async (t) => {
    const headers = { 'x-forwarded-for': '6.6.6.6, 203.0.113.9, 10.1.2.3' };
    const plain = await startServer(t);
    await plain.fetch('/whoami', { headers });
    assert.equal(plain.gate.records[0]?.attempt.source.address, '127.0.0.1');
    const behind = await startServer(t, { trustedProxies: ['127.0.0.1', '10.0.0.0/8'] });
    await behind.fetch('/whoami', { headers });
    assert.equal(behind.gate.records[0]?.attempt.source.address, '203.0.113.9');
  });
});
