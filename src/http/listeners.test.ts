import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { Secret } from '../kernel/secret.ts';
import type { Route } from './route.ts';
import { sendRaw, startServer } from './server.harness.ts';

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
