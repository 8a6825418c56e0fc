import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { Secret } from '../kernel/secret.ts';
import { createHttpClient, parseServerUrl } from './http-client.ts';
import { ApiFailure, apiPath, type KeepClient } from './keep-client.ts';
import { createFakeAccess, type Outcome, runCli } from './testing.ts';

interface Received {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

let server: Server;
let base: string;
let received: Received[];
let respond: (request: Received, response: ServerResponse) => void;

before(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url = '', headers } = request;
      const seen = { method, url, headers, body: Buffer.concat(chunks).toString() };
      received.push(seen);
      respond(seen, response);
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});

after(() => server.close());

beforeEach(() => {
  received = [];
  respond = (_, response) => json(response, 200, { ok: true });
});

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, {
    'content-type': status < 400 ? 'application/json' : 'application/problem+json',
  });
  response.end(JSON.stringify(body));
}

function client(prefix = ''): KeepClient {
  return createHttpClient({
    kind: 'url',
    url: new URL(base + prefix),
    authorization: new Secret('Bearer mk_x'),
  });
}

describe('the HTTP client', () => {
  it('sends method, query, JSON body and credential', async () => {
    const answer = await client('/keep/').request({
      method: 'POST',
      path: apiPath`/api/v1/users/${'a/b'}`,
      query: { limit: '5', before: undefined },
      body: { name: 'ada' },
    });
    assert.deepEqual(answer, { ok: true });
    const [request] = received;
    assert.equal(request?.method, 'POST');
    assert.equal(request?.url, '/keep/api/v1/users/a%2Fb?limit=5');
    assert.equal(request?.headers.authorization, 'Bearer mk_x');
    assert.equal(request?.headers['content-type'], 'application/json');
    assert.equal(request?.body, '{"name":"ada"}');
  });

  it('does not fold dots in a path', async () => {
    await client().request({ method: 'GET', path: apiPath`/api/v1/users/${'..'}` });
    assert.equal(received[0]?.url, '/api/v1/users/..');
  });

  it('streams bytes up and down', async () => {
    respond = ({ body }, response) => response.end(body.toUpperCase());
    async function* stream(): AsyncIterable<Uint8Array> {
      yield Buffer.from('one ');
      yield Buffer.from('two');
    }
    const down = client().download({
      method: 'POST',
      path: '/x',
      stream: stream(),
      contentType: 'application/json',
    });
    assert.equal(Buffer.concat(await Array.fromAsync(down)).toString(), 'ONE TWO');
    assert.equal(received[0]?.headers['content-type'], 'application/json');
  });

  it('answers undefined to 204', async () => {
    respond = (_, response) => response.writeHead(204).end();
    assert.equal(await client().request({ method: 'DELETE', path: '/x' }), undefined);
  });

  it('throws the problem of a refusal, with its status', async () => {
    respond = (_, response) => json(response, 403, { code: 'access.denied', detail: 'needs model.invoke' });
    await assert.rejects(client().request({ method: 'GET', path: '/x' }), (error) => {
      assert.ok(error instanceof ApiFailure);
      assert.equal(error.status, 403);
      assert.equal(error.problem.code, 'access.denied');
      assert.equal(error.message, 'needs model.invoke');
      return true;
    });
  });

  it('tells of a refusal that is not JSON by its status', async () => {
    respond = (_, response) => response.writeHead(502).end('<html>');
    await assert.rejects(client().request({ method: 'GET', path: '/x' }), /status 502/);
  });

  it('does not follow a redirect with its credential', async () => {
    respond = (_, response) => response.writeHead(307, { location: `${base}/elsewhere` }).end();
    await assert.rejects(client().request({ method: 'GET', path: '/x' }), /status 307/);
    assert.equal(received.length, 1);
  });

  it('tells that an answer is not from a keep', async () => {
    respond = (_, response) => response.end('hello');
    await assert.rejects(client().request({ method: 'GET', path: '/x' }), /the answer is not JSON/);
  });

  it('tells where nothing listens', async () => {
    const idle = createServer();
    await new Promise<void>((resolve) => {
      idle.listen(0, '127.0.0.1', resolve);
    });
    const { port } = idle.address() as AddressInfo;
    await new Promise((resolve) => {
      idle.close(resolve);
    });
    const url = new URL(`http://127.0.0.1:${port}`);
    await assert.rejects(
      createHttpClient({ kind: 'url', url }).request({ method: 'GET', path: '/x' }),
      /cannot reach the server at http:\/\/127\.0\.0\.1:\d+: nothing listens there/,
    );
  });

  it('fails with the reason of a body that cannot be read', async () => {
    async function* broken(): AsyncIterable<Uint8Array> {
      yield Buffer.from('one');
      throw new Error('the disk is gone');
    }
    await assert.rejects(
      client().request({ method: 'POST', path: '/x', stream: broken() }),
      /the disk is gone|closed the connection/,
    );
  });
});

describe('--server', () => {
  for (const url of [
    'https://keep.example.com',
    'http://localhost:8750',
    'http://127.8.8.8',
    'http://[::1]:8750/keep',
  ]) {
    it(`takes ${url}`, () => assert.equal(parseServerUrl(url).href.startsWith(url), true));
  }
  for (const [url, complaint] of [
    ['http://keep.example.com', /credentials in clear/],
    ['http://127.0.0.1.example.com', /credentials in clear/],
    ['http://10.0.0.1', /credentials in clear/],
    ['ftp://localhost', /not an http or https URL/],
    ['localhost:8750', /not an http or https URL/],
    ['https://ada:secret@keep.example.com', /must not hold a user name or password/],
    ['https://keep.example.com/?key=1', /must not hold a query/],
  ] as const) {
    it(`refuses ${url} with exit code 2`, async () => {
      const { code, err } = await remote('whoami', {}, url);
      assert.equal(code, 2);
      assert.match(err, complaint);
    });
  }

  it('sends an API key from the environment as Bearer', async () => {
    const { code, err } = await remote('projects create fraud', { MODELKEEP_API_KEY: 'mk_key' });
    assert.equal(code, 0, err);
    assert.equal(received[0]?.headers.authorization, 'Bearer mk_key');
    assert.equal(received[0]?.body, '{"name":"fraud"}');
  });

  it('reads the server from MODELKEEP_SERVER, and the key and the password from files', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
    const file = join(directory, 'secret');
    await writeFile(file, 'from-a-file\n', { mode: 0o600 });
    const { code, err } = await runCli(['projects', 'create', 'fraud'], noKeep(), {
      environment: { MODELKEEP_SERVER: base, MODELKEEP_API_KEY_FILE: file },
    });
    assert.equal(code, 0, err);
    assert.equal(received[0]?.headers.authorization, 'Bearer from-a-file');

    await remote('projects create fraud', { MODELKEEP_USER: 'ada', MODELKEEP_PASSWORD_FILE: file });
    const basic = Buffer.from('ada:from-a-file').toString('base64');
    assert.equal(received[1]?.headers.authorization, `Basic ${basic}`);

    await chmod(file, 0o644);
    const open = await remote('projects list', { MODELKEEP_API_KEY_FILE: file });
    assert.equal(open.code, 1);
    assert.match(open.err, /may be read by other users\nmodelkeep: hint: chmod 600/);
    assert.equal(received.length, 2);
  });

  it('asks for a password on the terminal when only the user is named', async () => {
    const { code, err } = await remote('whoami', { MODELKEEP_USER: 'ada' }, base, ['open sesame']);
    assert.notEqual(code, 2, err);
    const basic = Buffer.from('ada:open sesame').toString('base64');
    assert.equal(received[0]?.headers.authorization, `Basic ${basic}`);
  });

  it('makes no request without a credential', async () => {
    const { code, err } = await remote('whoami', {});
    assert.equal(code, 1);
    assert.match(err, /--server needs a credential\nmodelkeep: hint: set MODELKEEP_API_KEY/);
    assert.equal(received.length, 0);
  });

  it('exits with 4 and says how to sign in when the credential is refused', async () => {
    respond = (_, response) => json(response, 401, { code: 'identity.unauthenticated', detail: 'no' });
    const { code, err } = await remote('whoami', { MODELKEEP_API_KEY: 'mk_old' });
    assert.equal(code, 4);
    assert.match(
      err,
      /error: denied: no \(identity\.unauthenticated\)\nmodelkeep: hint: set MODELKEEP_API_KEY/,
    );
    assert.doesNotMatch(err, /mk_old/);
  });

  it('uploads a model as it is', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
    const file = join(directory, 'm.onnx');
    await writeFile(file, 'x'.repeat(300_000));
    respond = (_, response) =>
      json(response, 201, { number: 1, digest: 'ab', bytes: 300_000, aliases: [], findings: [] });
    const { code, err } = await remote(`models add ${file} --model fraud/score`, {
      MODELKEEP_API_KEY: 'mk_key',
    });
    assert.equal(code, 0, err);
    assert.equal(received[0]?.body.length, 300_000);
    assert.equal(received[0]?.headers['content-type'], 'application/octet-stream');
    assert.match(err, /registered fraud\/score@1, 293.0 KiB, SHA-256 ab\n/);
  });
});

describe("the keep's own host", () => {
  it('reaches a running server through its admin socket, without a credential', async () => {
    const home = await mkdtemp(join(tmpdir(), 'mk-'));
    await mkdir(join(home, 'run'));
    const admin = createServer((request, response) => {
      const { method = '', url = '', headers } = request;
      received.push({ method, url, headers, body: '' });
      json(response, 200, { users: [] });
    });
    await new Promise<void>((resolve) => {
      admin.listen(join(home, 'run', 'admin.sock'), resolve);
    });
    const access = createFakeAccess(() => assert.fail('the keep must not be opened beside its server'));
    const { code, err } = await runCli(['--home', home, 'users', 'list'], access);
    admin.close();
    assert.equal(code, 0, err);
    assert.equal(received[0]?.url, '/api/v1/users');
    assert.equal(received[0]?.headers.authorization, undefined);
  });

  it('opens the keep itself when no server answers on the socket', async () => {
    const home = await mkdtemp(join(tmpdir(), 'mk-'));
    await mkdir(join(home, 'run'));
    await writeFile(join(home, 'run', 'admin.sock'), '');
    const access = createFakeAccess(() => ({ users: [] }));
    const { code, err } = await runCli(['--home', home, 'users', 'list'], access);
    assert.equal(code, 0, err);
    assert.equal(access.calls.length, 1);
  });
});

function noKeep(): ReturnType<typeof createFakeAccess> {
  return createFakeAccess(() => assert.fail('a request to --server must not open a keep here'));
}

function remote(
  line: string,
  environment: Readonly<Record<string, string>>,
  url = base,
  answers?: readonly string[],
): Promise<Outcome> {
  const options = { environment, ...(answers === undefined ? {} : { answers }) };
  return runCli(['--server', url, ...line.split(' ')], noKeep(), options);
}
