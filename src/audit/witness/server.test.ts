import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { createWitnessClient } from './client.ts';
import { originHash, SUBMISSION_BYTES_MAX } from './protocol.ts';
import { serveWitness, type WitnessServer } from './server.ts';
import { createWitnessMemory } from './stores.ts';
import { cosignatureVerifierOf, cosignerOf, createTestLog } from './testing.ts';
import { createWitness, type WitnessStore } from './witness.ts';

const log = createTestLog();
const cosigner = cosignerOf('witness.test/w1');
const verifier = cosignatureVerifierOf(cosigner.vkey);
let fails = false;
const memory = createWitnessMemory();
const store: WitnessStore = {
  ...memory,
  replace: (origin, checkpoint) =>
    fails ? assert.fail('the disk is full') : memory.replace(origin, checkpoint),
};
let server: WitnessServer;

before(async () => {
  const witness = createWitness({
    store,
    cosigners: [cosigner],
    logs: [log.verifier],
    clock: createManualClock(),
  });
  server = await serveWitness({ witness, host: '127.0.0.1', port: 0, log: silentLog });
});
after(() => server.close());

const post = (body: string | Uint8Array, path = '/add-checkpoint') =>
  fetch(server.url + path, { method: 'POST', body: Buffer.from(body) });
const clientOf = (url: string, change: Partial<Parameters<typeof createWitnessClient>[0]> = {}) =>
  createWitnessClient({ url, verifier, timeoutMs: 2000, signal: new AbortController().signal, ...change });

describe('a witness over HTTP', () => {
  it('cosigns, says its size to whoever asks with zero, and shows the checkpoint', async () => {
    const client = clientOf(server.url);
    assert.equal(await client.latest(log.origin, [log.verifier]), undefined);
    const first = await client.add({ old: 0, proof: [], checkpoint: log.checkpoint(5) });
    assert.equal(first.kind, 'cosigned');
    assert.deepEqual(await client.add({ old: 0, proof: [], checkpoint: log.checkpoint(9) }), {
      kind: 'conflict',
      size: 5,
    });
    const second = await client.add({ old: 5, proof: log.proof(5, 9), checkpoint: log.checkpoint(9) });
    assert.equal(second.kind, 'cosigned');
    assert.match((await client.latest(log.origin, [log.verifier])) ?? '', /^keep\.test\/audit\n9\n/);
    const response = await fetch(`${server.url}/${originHash(log.origin)}/checkpoint`);
    assert.equal(response.headers.get('content-type'), 'text/plain; charset=utf-8');
    const conflict = await post(log.body(1, 9));
    assert.deepEqual([conflict.status, conflict.headers.get('content-type')], [409, 'text/x.tlog.size']);
  });

  it('has nothing else, and no other method', async () => {
    for (const [method, path, status] of [
      ['GET', '/add-checkpoint', 405],
      ['PUT', '/add-checkpoint', 405],
      ['POST', `/${originHash(log.origin)}/checkpoint`, 405],
      ['GET', '/', 404],
      ['POST', '/add-checkpoint/', 404],
      ['POST', '/add-checkpoint?x', 404],
      ['GET', `/${originHash('other.test')}/checkpoint`, 404],
      ['GET', `/${originHash(log.origin).toUpperCase()}/checkpoint`, 404],
      ['GET', '/../lock', 404],
    ] as const) {
      const response = await fetch(server.url + path, { method });
      assert.equal(response.status, status, `${method} ${path}`);
      await response.text();
    }
  });

  it('reads no body that is too long, announced or not', async () => {
    const long = 'x'.repeat(SUBMISSION_BYTES_MAX + 1);
    assert.equal((await post(long)).status, 413);
    const request = httpRequest(`${server.url}/add-checkpoint`, { method: 'POST' });
    request.write(long);
    const [response] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }];
    assert.equal(response.statusCode, 413);
    response.resume();
    request.destroy();
    assert.equal((await post('x'.repeat(SUBMISSION_BYTES_MAX))).status, 400);
  });

  it('survives whoever goes away in the middle, and whoever does not speak HTTP', async () => {
    const port = Number(new URL(server.url).port);
    for (const bytes of [
      'POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: 99\r\n\r\nold 0',
      '\u0000\u0001\r\n\r\n',
    ]) {
      const socket = connect(port, '127.0.0.1');
      await once(socket, 'connect');
      socket.on('error', () => {});
      socket.end(bytes);
      socket.resume();
      await once(socket, 'close');
    }
    assert.equal((await post('old 0\n')).status, 400);
  });

  it('answers 500 and no cosignature if it cannot remember', async () => {
    fails = true;
    const response = await post(log.body(9, 10));
    fails = false;
    assert.equal(response.status, 500);
    assert.doesNotMatch(await response.text(), /\u2014|disk/);
    assert.equal((await post(log.body(9, 10))).status, 200);
  });
});

describe('who asks a witness', () => {
  it('takes no answer that is not a cosignature of this checkpoint by this witness', async () => {
    const replies: Record<string, string> = {
      empty: '',
      garbage: 'hello\n',
      stranger: `${cosignerOf('witness.test/w1').cosign(log.checkpoint(9).split('\n\n')[0] ?? '', 5)}\n`,
      older: `${cosigner.cosign(`${log.checkpoint(8).split('\n\n')[0]}\n`, 5)}\n`,
      timeless: `${cosigner.cosign(`${log.checkpoint(9).split('\n\n')[0]}\n`, 0)}\n`,
      text: log.checkpoint(9),
    };
    const liar = createServer((request, response) => {
      const [, name = ''] = request.url?.split('/') ?? [];
      if (name === 'size') response.writeHead(409, { 'content-type': 'text/plain' }).end('7\n');
      else if (name === 'moved') response.writeHead(307, { location: `${server.url}/add-checkpoint` }).end();
      else if (name === 'long') response.end('x'.repeat(300_000));
      else if (name !== 'silent') response.end(replies[name]);
    });
    liar.listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const { port } = liar.address() as { port: number };
    const ask = (name: string, timeoutMs = 2000) =>
      clientOf(`http://127.0.0.1:${port}/${name}`, { timeoutMs }).add({
        old: 8,
        proof: log.proof(8, 9),
        checkpoint: log.checkpoint(9),
      });
    try {
      for (const name of [...Object.keys(replies), 'size'])
        assert.equal((await ask(name)).kind, 'refused', name);
      for (const name of ['moved', 'long']) assert.equal((await ask(name)).kind, 'unreachable', name);
      assert.deepEqual(await ask('silent', 50), {
        kind: 'unreachable',
        reason: 'it did not answer within 50 ms',
      });
    } finally {
      liar.closeAllConnections();
      liar.close();
    }
    assert.equal((await ask('gone')).kind, 'unreachable');
  });
});
