import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import type { KeepClient } from '../src/cli/keep-client.ts';
import { loadConfig } from '../src/config/load.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { createLog } from '../src/kernel/log.ts';
import { type House, openHouse } from '../src/server/house.ts';
import { createInProcessClient } from '../src/server/in-process-client.ts';
import { createKeep } from '../src/server/keep.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');
const PREDICT = '/projects/default/models/polarity/predict';

/** Everything that was hidden somewhere in a request, by the place it was hidden in. */
const planted = new Map<string, string>();

/** Text that occurs nowhere else, of letters and digits so that nothing escapes it, and that no name may look like. */
function plant(place: string): string {
  const secret = `Pl4nted${randomBytes(12).toString('hex').toUpperCase()}`;
  planted.set(place, secret);
  return secret;
}

/** A text as a careless sink would have it: plain, folded, reversed into an encoding, or only its telling half. */
function spellings(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  return [
    secret,
    secret.toLowerCase(),
    secret.slice(0, 20),
    bytes.toString('hex'),
    ...[0, 1, 2].map((shift) =>
      // Whatever stands in front, the inner characters of its base64 are one of three.
      Buffer.concat([Buffer.alloc(shift), bytes])
        .toString('base64')
        .slice(4, -8),
    ),
  ];
}

describe('what is never logged', () => {
  let place: string;
  let home: string;
  let house: House;
  let port: number;
  let client: KeepClient;
  const operatorLines: string[] = [];
  const password = plant('the password of a user, set and used');
  let keyOfPlan: string;

  before(async () => {
    place = await mkdtemp(join(tmpdir(), 'modelkeep-never-'));
    home = join(place, 'keep');
    const flags = { trustedProxies: '127.0.0.1', 'metrics.public': 'true' };
    const config = loadConfig({ flags, env: {}, homeDirectory: home, readFile: () => undefined });
    const clock = systemClock;
    const log = createLog({ write: (line) => operatorLines.push(line), clock });
    const { setupToken } = await createKeep({ home, config, clock, log });
    planted.set('the setup token', setupToken.reveal());
    house = await openHouse({ home, config, clock, log, environment: {}, readFile: () => undefined });
    const address = await house.server.listen({ host: '127.0.0.1', port: 0 });
    assert.equal(address.kind, 'tcp');
    port = address.kind === 'tcp' ? address.port : 0;
    client = createInProcessClient(house.server, async () => {});
    await client.request({
      method: 'POST',
      path: '/api/v1/projects/default/models/polarity/versions',
      query: { alias: 'production' },
      stream: Readable.from([await readFile(POLARITY)]),
    });
    await client.request({ method: 'POST', path: '/api/v1/users', body: { name: 'ada' } });
    await client.request({ method: 'PUT', path: '/api/v1/users/ada/password', body: { password } });
    await client.request({ method: 'POST', path: '/api/v1/service-accounts', body: { name: 'plan' } });
    const made = await client.request<{ key: string }>({
      method: 'POST',
      path: '/api/v1/api-keys',
      body: { owner: 'service-account:plan' },
    });
    keyOfPlan = made.key;
    for (const subject of ['user:ada', 'service-account:plan']) {
      const body = { subject, role: 'consumer', scope: '/projects/default' };
      await client.request({ method: 'POST', path: '/api/v1/bindings', body });
    }
  });
  after(async () => {
    await house?.[Symbol.asyncDispose]();
    await rm(place, { recursive: true, force: true });
  });

  const basic = (name: string, secret: string): string =>
    `Basic ${Buffer.from(`${name}:${secret}`).toString('base64')}`;

  async function send(
    path: string,
    {
      method = 'POST',
      headers = {},
      body,
    }: { method?: string; headers?: Record<string, string>; body?: string },
  ): Promise<{ readonly status: number; readonly index: number }> {
    const sent = request({ host: '127.0.0.1', port, path, method, headers, agent: false });
    sent.on('error', () => {});
    sent.end(body);
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    await once(response, 'end');
    return { status: response.statusCode ?? 0, index: Number(response.headers['audit-index'] ?? -1) };
  }

  /** Bytes that need not be HTTP; resolves when the server has closed. */
  async function sendRaw(text: string): Promise<void> {
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.end(text);
    socket.resume();
    await once(socket, 'close');
  }

  it('is whatever a request carries: credentials, cookies, paths, queries, headers, bodies', async () => {
    const json = { 'content-type': 'application/json' };
    const good = { ...json, authorization: basic('ada', password) };
    const statuses: Record<string, number> = {};
    const add = async (name: string, ...what: Parameters<typeof send>): Promise<void> => {
      statuses[name] = (await send(...what)).status;
    };
    const ok = '{"value":3}';
    await add('password', PREDICT, { headers: good, body: ok });
    const secretPart = keyOfPlan.slice(-30);
    planted.set('the secret part of a good API key', secretPart);
    await add('key', PREDICT, { headers: { ...json, authorization: `Bearer ${keyOfPlan}` }, body: ok });

    const auths: Record<string, string> = {
      'a wrong password': basic('ada', plant('a wrong password')),
      'a user name that is a password': basic(plant('a user name that is a password'), 'x'),
      'a password for nobody': basic('nobody', plant('a password for nobody')),
      'a wrong key secret': `Bearer ${keyOfPlan.slice(0, -30)}${plant('a wrong key secret').slice(0, 30)}`,
      'a token that is no key': `Bearer ${plant('a token that is no key')}`,
      'a token with dots': `Bearer ${plant('the header of a token')}.${plant('its claims')}.${plant('its signature')}`,
      'a scheme': `${plant('a scheme')} x`,
      'a header without scheme': plant('a header without scheme'),
    };
    for (const [name, authorization] of Object.entries(auths))
      await add(name, PREDICT, { headers: { ...json, authorization }, body: ok });

    const names = [
      'cookie',
      'user-agent',
      'x-api-key',
      'api-key',
      'proxy-authorization',
      'x-forwarded-for',
      'forwarded',
      'x-request-id',
      'traceparent',
      'referer',
      'origin',
      'accept',
      'prefer',
      'if-match',
      'x-anything',
    ];
    for (const name of names)
      await add(name, PREDICT, { headers: { ...good, [name]: plant(`the header ${name}`) }, body: ok });
    for (const name of ['content-type', 'content-encoding', 'expect'])
      await add(name, PREDICT, { headers: { ...good, [name]: plant(`the header ${name}`) }, body: ok });
    await add('a header name', PREDICT, { headers: { ...good, [plant('a header name')]: 'x' }, body: ok });
    await add('host', PREDICT, { headers: { ...good, host: `${plant('the host')}!` }, body: ok });

    await add('query', `${PREDICT}?api_key=${plant('a query value')}`, { headers: good, body: ok });
    await add('query name', `${PREDICT}?${plant('a query name')}=1`, { headers: good, body: ok });
    await add('stranger query', `${PREDICT}?api_key=${plant('a query of a stranger')}`, { body: ok });
    await add('path', `/tokens/${plant('a path without route')}`, { method: 'GET', headers: good });
    await add('user', `/api/v1/users/${plant('a path parameter')}`, { method: 'GET', headers: good });
    await add('stranger path', `/projects/${plant('a path of a stranger')}/models/x/predict`, { body: ok });
    await add('encoded', `/%2e%2e/${plant('a path that is refused')}`, { method: 'GET', headers: good });

    const bodies = [
      `{"value":3,"${plant('a member name')}":1}`,
      `{"value":"${plant('an input of a wrong type')}"}`,
      `{"value":3,"note":"${plant('a member that the model lacks')}"}`,
      `{"value":${plant('not JSON')}}`,
      `{"instances":[{"value":"${plant('an instance')}"}]}`,
      plant('a bare text'),
    ];
    for (const [at, body] of bodies.entries()) await add(`body ${at}`, PREDICT, { headers: good, body });
    await add('setup', '/api/v1/setup', {
      headers: json,
      body: JSON.stringify({
        token: plant('a setup token'),
        name: 'eve',
        password: plant('a password at setup'),
      }),
    });
    const infer = { id: plant('an id of a client'), inputs: [] };
    await add('infer', '/v2/models/polarity/infer', { headers: good, body: JSON.stringify(infer) });

    await sendRaw(
      `GET /${plant('a target that is not HTTP')} \r\n${plant('a line that is not HTTP')}\r\n\r\n`,
    );
    await sendRaw(`${plant('a method')} / HTTP/1.1\r\nhost: x\r\n\r\n`);
    await sendRaw(`CONNECT ${plant('a tunnel')}:443 HTTP/1.1\r\nhost: x\r\n\r\n`);
    await sendRaw(
      `GET / HTTP/1.1\r\nhost: x\r\nauthorization: a\r\nauthorization: ${plant('a second one')}\r\n\r\n`,
    );

    assert.equal(statuses['password'], 200);
    assert.equal(statuses['key'], 200);
    for (const name of Object.keys(auths)) assert.equal(statuses[name], 401, name);
    await assert.rejects(
      client.request({
        method: 'PUT',
        path: '/api/v1/users/ada/password',
        body: { password: plant('a password that is refused').slice(0, 3) },
      }),
    );

    await house.keep.audit.checkpoint();
    const recorded = house.keep.audit.size();
    assert.ok(recorded > planted.size - 15, `only ${recorded} entries`);
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    assert.match(metrics, /modelkeep_http_requests_total/);
    const sinks = new Map<string, string>([
      ['the operator log', operatorLines.join('')],
      ['the metrics', metrics],
    ]);
    // The whole keep, and not only log/: indices, queues and databases stand beside it.
    for (const file of await readdir(home, { recursive: true, withFileTypes: true })) {
      if (!file.isFile()) continue;
      const path = join(file.parentPath, file.name);
      sinks.set(relative(home, path), (await readFile(path)).toString('latin1'));
    }
    assert.ok([...sinks.keys()].some((name) => name.startsWith('log/wal/')));
    assert.ok([...sinks.keys()].some((name) => name.startsWith('log/tile/entries')));
    const entries = [...sinks].filter(([name]) => name.startsWith('log/')).map(([, text]) => text);
    assert.ok(entries.join('').includes('wrong_password'), 'the search finds what is there');
    const leaks: string[] = [];
    for (const [where, secret] of planted) {
      for (const spelling of spellings(secret)) {
        for (const [sink, text] of sinks) if (text.includes(spelling)) leaks.push(`${where} in ${sink}`);
      }
    }
    assert.deepEqual([...new Set(leaks)], []);
  });
});
