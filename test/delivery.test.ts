import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { eventually } from './support/eventually.ts';
import { openTemporaryHouse } from './support/temporary-house.ts';

const SECRET = 'a secret that both ends know';

interface Received {
  readonly body: string;
  readonly signature: string;
  readonly key: string;
}

/** A webhook on this machine that takes what comes, or answers with `status`. */
async function openReceiver(port = 0) {
  const received: Received[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { headers } = request;
      if (status === 200)
        received.push({
          body,
          signature: String(headers['modelkeep-signature']),
          key: String(headers['idempotency-key']),
        });
      response.writeHead(status, { location: 'http://127.0.0.1:1/elsewhere' }).end();
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    received,
    port: (server.address() as AddressInfo).port,
    answer(with_: number) {
      status = with_;
    },
    indices: () =>
      received.flatMap(({ body }) =>
        (JSON.parse(body) as { events: { index?: number }[] }).events.flatMap(({ index }) => index ?? []),
      ),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

describe('a webhook that the configuration names', () => {
  it('is sent every entry, signed; is down without anybody waiting; and misses nothing over a restart', async () => {
    await using receiver = await openReceiver();
    const file = [
      'audit:',
      '  sinks:',
      '    - kind: webhook',
      '      name: siem',
      `      url: http://127.0.0.1:${receiver.port}/in`,
      '      secret: env:HOOK',
      '      format: json',
    ].join('\n');
    await using place = await openTemporaryHouse({}, { file, environment: { HOOK: SECRET } });
    await place.house.watch();
    const { client } = place;
    const size = (): number => place.house.keep.audit.size();
    const all = async (): Promise<void> => {
      const end = size();
      await eventually(() => (new Set(receiver.indices()).size >= end ? true : undefined), 20_000);
    };
    await all();
    for (const { body, signature } of receiver.received) {
      const [, seconds = '', hex = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? [];
      assert.equal(hex, createHmac('sha256', SECRET).update(`${seconds}.${body}`).digest('hex'));
      assert.ok(Math.abs(Number(seconds) * 1000 - Date.now()) < 60_000);
    }

    // A redirect is not followed, and no answer of the receiver reaches a caller.
    receiver.answer(307);
    const before = size();
    for (let i = 0; i < 20; i++) {
      const started = performance.now();
      await client.request({ method: 'POST', path: '/api/v1/projects', body: { name: `p${i}` } });
      assert.ok(performance.now() - started < 2000);
    }
    type Sinks = { sinks: { name: string; state: string; next: number; failure?: string }[] };
    const [sink] = await eventually(async () => {
      const { sinks } = await client.request<Sinks>({ method: 'GET', path: '/api/v1/audit/sinks' });
      return sinks[0]?.failure === undefined ? undefined : sinks;
    });
    assert.match(sink?.failure ?? '', /307, and redirects are not followed/);
    assert.ok((sink?.next ?? 0) <= before);
    assert.doesNotMatch(JSON.stringify(sink), new RegExp(SECRET));

    await place.restart();
    receiver.answer(200);
    await place.house.watch();
    await all();
    const indices = receiver.indices();
    assert.deepEqual(
      [...new Set(indices)],
      [...Array(new Set(indices).size).keys()],
      'in order, none missing',
    );
    assert.ok(!receiver.received.some(({ body }) => body.includes(SECRET)));
  });
});
