import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, before, describe, it } from 'node:test';
import { createServer as createSyslogServer, type TLSSocket } from 'node:tls';
import { createManualClock } from '../../../kernel/clock.ts';
import { Secret } from '../../../kernel/secret.ts';
import { ORIGIN, sampleEvent } from '../format/testing.ts';
import { createSink, type SinkSettings } from './create-sink.ts';
import { createHttpPost } from './http-post.ts';
import { type Batch, type Sink, SinkRefusal, SinkUnavailable } from './sink.ts';

const CERTIFICATES = join(import.meta.dirname, '../../../http/testdata');
const PASSWORD = 'a secret of twenty-four characters';
const clock = createManualClock();
const never = new AbortController().signal;

let certificate: string;
let key: string;
const closing: (() => unknown)[] = [];

before(async () => {
  certificate = await readFile(join(CERTIFICATES, 'localhost.crt'), 'utf8');
  key = await readFile(join(CERTIFICATES, 'localhost.key'), 'utf8');
});
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function sinkOf(settings: SinkSettings): Sink {
  const sink = createSink(settings, { clock, version: '0.1.0', hostname: 'keep.test', processId: 7 });
  closing.push(() => sink.close());
  return sink;
}

function batchFor(sink: Sink, indices: readonly number[]): Batch {
  const events = indices.map((index) => sampleEvent({}, index));
  return {
    key: `${ORIGIN}/${indices[0]}..${indices.at(-1)}`,
    origin: ORIGIN,
    items: events.map((event) => ({ event, text: sink.render(event) })),
  };
}

interface Seen {
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  readonly path: string | undefined;
}

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** A receiver on loopback that answers as told, and keeps what it was sent. */
async function receive(answers: readonly Answer[], useTls = false) {
  const seen: Seen[] = [];
  const onRequest: Parameters<typeof createServer>[1] = (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const answer = answers[Math.min(seen.length, answers.length - 1)] ?? { status: 500 };
      seen.push({ headers: request.headers, body: Buffer.concat(chunks).toString(), path: request.url });
      response.writeHead(answer.status, answer.headers).end(answer.body ?? '');
    });
  };
  const server: Server = useTls
    ? createTlsServer({ cert: certificate, key }, onRequest)
    : createServer(onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { seen, base: `${useTls ? 'https' : 'http'}://127.0.0.1:${port}` };
}

describe('the webhook sink', () => {
  const settings = (url: string, more: Partial<SinkSettings> = {}): SinkSettings =>
    ({
      kind: 'webhook',
      name: 'hook',
      url,
      secret: new Secret(PASSWORD),
      format: 'json',
      ...more,
    }) as SinkSettings;

  it('sends a signed batch that the receiver can check and tell from others', async () => {
    const { seen, base } = await receive([{ status: 204 }], true);
    const sink = sinkOf(settings(`${base}/in`, { ca: certificate }));
    assert.equal(await sink.send(batchFor(sink, [3, 4]), never), 0);
    const [request] = seen;
    assert.ok(request !== undefined);
    const [, time = '', given] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(request.headers['modelkeep-signature'])) ?? [];
    assert.equal(Number(time), Math.floor(clock.now() / 1000));
    assert.equal(given, createHmac('sha256', PASSWORD).update(`${time}.${request.body}`).digest('hex'));
    assert.equal(request.headers['idempotency-key'], `${ORIGIN}/3..4`);
    const { origin, events } = JSON.parse(request.body) as { origin: string; events: { key: string }[] };
    assert.equal(origin, ORIGIN);
    assert.deepEqual(
      events.map((event) => event.key),
      [`${ORIGIN}/3`, `${ORIGIN}/4`],
    );
  });

  it('sends CEF lines as texts', async () => {
    const { seen, base } = await receive([{ status: 200 }]);
    const sink = sinkOf(settings(base, { format: 'cef' }));
    await sink.send(batchFor(sink, [1]), never);
    const { events } = JSON.parse(seen[0]?.body ?? '') as { events: string[] };
    assert.match(events[0] ?? '', /^CEF:0\|/);
  });

  it('does not trust a certificate that it was not given', async () => {
    const { seen, base } = await receive([{ status: 204 }], true);
    const sink = sinkOf(settings(base));
    await assert.rejects(sink.send(batchFor(sink, [1]), never), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    assert.equal(seen.length, 0);
  });

  it('tells a refusal of the content from what may pass', async () => {
    const { base } = await receive(
      [400, 413, 422, 401, 404, 500].map((status) => ({ status })).concat([{ status: 503 }]),
    );
    const sink = sinkOf(settings(base));
    for (const kind of [SinkRefusal, SinkRefusal, SinkRefusal]) {
      await assert.rejects(sink.send(batchFor(sink, [1]), never), kind);
    }
    for (const kind of [SinkUnavailable, SinkUnavailable, SinkUnavailable, SinkUnavailable]) {
      await assert.rejects(sink.send(batchFor(sink, [1]), never), kind);
    }
  });

  it('follows no redirect', async () => {
    const elsewhere = await receive([{ status: 204 }]);
    const { base } = await receive([{ status: 307, headers: { location: elsewhere.base } }]);
    const sink = sinkOf(settings(base));
    await assert.rejects(sink.send(batchFor(sink, [1]), never), /redirects are not followed/);
    assert.equal(elsewhere.seen.length, 0);
  });

  it('hears how long it is to wait, within bounds', async () => {
    const { base } = await receive([
      { status: 429, headers: { 'retry-after': '7' } },
      { status: 503, headers: { 'retry-after': '999999' } },
      { status: 503, headers: { 'retry-after': 'soon' } },
    ]);
    const sink = sinkOf(settings(base));
    for (const retryAfterMs of [7000, 600_000, undefined]) {
      await assert.rejects(sink.send(batchFor(sink, [1]), never), { retryAfterMs });
    }
  });

  it('refuses a short secret, and never says it', () => {
    const secret = new Secret('short');
    assert.throws(
      () => sinkOf(settings('https://siem.test/', { secret })),
      (error: Error) => {
        assert.doesNotMatch(error.message, /short/);
        return /16 characters/.test(error.message);
      },
    );
  });
});

describe('the URL of a sink', () => {
  it('is https, or http to this machine, without a password', () => {
    for (const url of [
      'https://siem.example/in',
      'http://127.0.0.1:1/',
      'http://[::1]:1/',
      'http://localhost/',
    ])
      createHttpPost({ url }).close();
    const refused = [
      'http://siem.example/',
      'http://10.0.0.1/',
      'http://127.0.0.1.nip.test/',
      'https://user:word@siem.example/',
      'file:///etc/passwd',
      'gopher://127.0.0.1/',
      'siem.example',
    ];
    for (const url of refused) assert.throws(() => createHttpPost({ url }), TypeError, url);
  });

  it('does not keep a silent receiver waiting for ever', async () => {
    const server = createServer(() => {});
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    closing.push(() => (server.closeAllConnections(), server.close()));
    const { port } = server.address() as AddressInfo;
    const http = createHttpPost({ url: `http://127.0.0.1:${port}/`, timeoutMs: 50 });
    await assert.rejects(http.post('x', {}, never));
    http.close();
  });
});

describe('the OTLP sink', () => {
  it('posts one request, and counts what the collector dropped', async () => {
    const partialSuccess = { rejectedLogRecords: '2', errorMessage: 'too old' };
    const { seen, base } = await receive([
      { status: 200, body: '{}' },
      { status: 200, body: '' },
      { status: 200, body: JSON.stringify({ partialSuccess }) },
    ]);
    const url = `${base}/v1/logs`;
    const sink = sinkOf({ kind: 'otlp', name: 'otel', url, authorization: new Secret('Bearer tok') });
    const batch = batchFor(sink, [0, 1, 2]);
    assert.deepEqual(
      [await sink.send(batch, never), await sink.send(batch, never), await sink.send(batch, never)],
      [0, 0, 2],
    );
    assert.equal(seen[0]?.path, '/v1/logs');
    assert.equal(seen[0]?.headers.authorization, 'Bearer tok');
    const { resourceLogs } = JSON.parse(seen[0]?.body ?? '') as {
      resourceLogs: { scopeLogs: { logRecords: unknown[] }[] }[];
    };
    assert.equal(resourceLogs[0]?.scopeLogs[0]?.logRecords.length, 3);
  });
});

describe('the Splunk sink', () => {
  it('sends events one after the other, with the token', async () => {
    const { seen, base } = await receive([{ status: 200, body: '{"text":"Success","code":0}' }]);
    const url = `${base}/services/collector/event`;
    const sink = sinkOf({ kind: 'splunk', name: 'hec', url, token: new Secret('tok'), format: 'ocsf' });
    await sink.send(batchFor(sink, [5, 6]), never);
    assert.equal(seen[0]?.headers.authorization, 'Splunk tok');
    const events = (seen[0]?.body ?? '')
      .split(/(?<=\})(?=\{"time")/)
      .map((text) => JSON.parse(text) as { fields: unknown });
    assert.deepEqual(
      events.map((event) => event.fields),
      [{ key: `${ORIGIN}/5` }, { key: `${ORIGIN}/6` }],
    );
  });
});

/** A syslog receiver over TLS: reads frames by RFC 5425. */
async function receiveSyslog() {
  let bytes = Buffer.alloc(0);
  const frames: string[] = [];
  const sockets: TLSSocket[] = [];
  let wake = (): void => {};
  const server = createSyslogServer({ cert: certificate, key }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk]);
      for (;;) {
        const space = bytes.indexOf(0x20);
        const length = Number(bytes.subarray(0, Math.max(0, space)).toString());
        if (space < 0 || bytes.length < space + 1 + length) break;
        frames.push(bytes.subarray(space + 1, space + 1 + length).toString());
        bytes = bytes.subarray(space + 1 + length);
      }
      wake();
    });
  });
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    frames,
    sockets,
    port,
    async until(count: number) {
      while (frames.length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

describe('the syslog sink', () => {
  const settings = (port: number, ca: string | undefined): SinkSettings => ({
    kind: 'syslog',
    name: 'syslog',
    host: 'localhost',
    port,
    format: 'cef',
    ca,
  });

  it('sends framed messages over one connection', async () => {
    const receiver = await receiveSyslog();
    const sink = sinkOf(settings(receiver.port, certificate));
    await sink.send(batchFor(sink, [0, 1]), never);
    await sink.send(batchFor(sink, [2]), never);
    await receiver.until(3);
    assert.equal(receiver.sockets.length, 1);
    assert.deepEqual(
      receiver.frames.map((frame) => /sequenceId="(\d+)"/.exec(frame)?.[1]),
      ['1', '2', '3'],
    );
    assert.match(
      receiver.frames[0] ?? '',
      /^<110>1 2026-01-31T12:00:00\.250Z keep\.test modelkeep 7 model\.invoke /,
    );
  });

  it('connects again after the receiver went away', async () => {
    const receiver = await receiveSyslog();
    const sink = sinkOf(settings(receiver.port, certificate));
    await sink.send(batchFor(sink, [0]), never);
    await receiver.until(1);
    const [socket] = receiver.sockets;
    assert.ok(socket !== undefined);
    socket.destroy();
    await once(socket, 'close');
    for (let attempt = 0; receiver.frames.length < 2 && attempt < 10; attempt++) {
      await sink.send(batchFor(sink, [1]), never).catch(() => {});
      await new Promise((resolve) => setImmediate(resolve));
      if (receiver.sockets.length > 1) await receiver.until(2);
    }
    assert.ok(receiver.frames.length >= 2);
    assert.ok(receiver.sockets.length >= 2);
  });

  it('does not talk to a receiver that it cannot tell from another', async () => {
    const receiver = await receiveSyslog();
    const sink = sinkOf(settings(receiver.port, undefined));
    await assert.rejects(sink.send(batchFor(sink, [0]), never), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    assert.equal(receiver.frames.length, 0);
  });
});
