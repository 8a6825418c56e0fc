import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';

/** The part of Vault's HTTP API that a root key needs, strict: whatever the real one would not accept is an error here. */
export interface VaultStandIn {
  readonly address: string;
  /** `POST /v1/…`, in order. */
  readonly requests: string[];
  /** Statuses that the next requests are answered with, before anything else is looked at. */
  readonly failures: number[];
  readonly revoked: string[];
  /** Tokens of logins that are valid. */
  readonly tokens: Set<string>;
  rotate(): void;
  stop(): Promise<void>;
}

export interface VaultStandInOptions {
  readonly token?: string;
  readonly namespace?: string;
  readonly derived?: boolean;
  readonly mount?: string;
  readonly key?: string;
  readonly leaseSeconds?: number;
  readonly tls?: { readonly cert: string; readonly key: string };
}

interface Answer {
  readonly status: number;
  readonly body?: unknown;
}

const no = (status: number, message: string): Answer => ({ status, body: { errors: [message] } });

export async function startVault(t: TestContext, options: VaultStandInOptions = {}): Promise<VaultStandIn> {
  const { mount = 'transit', key = 'modelkeep', derived = false, leaseSeconds = 3600 } = options;
  const versions = [randomBytes(32)];
  const requests: string[] = [];
  const failures: number[] = [];
  const revoked: string[] = [];
  const tokens = new Set<string>();

  const handle = (path: string, headers: http.IncomingHttpHeaders, body: Record<string, unknown>): Answer => {
    if (headers['x-vault-request'] !== 'true') return no(412, 'required header is missing');
    if (headers['x-vault-namespace'] !== options.namespace) return no(404, 'no handler for route');
    const login = /^\/v1\/auth\/([a-z-]+)\/login$/.exec(path)?.[1];
    if (login !== undefined) return handleLogin(login, headers, body);
    const token = headers['x-vault-token'];
    if (typeof token !== 'string' || (token !== options.token && !tokens.has(token)))
      return no(403, `permission denied for ${String(token)}`);
    if (path === '/v1/auth/token/revoke-self') {
      revoked.push(token);
      return { status: 204 };
    }
    const verb = ['encrypt', 'decrypt', 'rewrap'].find((each) => path === `/v1/${mount}/${each}/${key}`);
    return verb === undefined ? no(404, 'no handler for route') : transit(verb, body);
  };

  const handleLogin = (
    method: string,
    headers: http.IncomingHttpHeaders,
    body: Record<string, unknown>,
  ): Answer => {
    if (headers['x-vault-token'] !== undefined) return no(400, 'a login carries no token');
    const good =
      (method === 'approle' && body['role_id'] === 'role-1' && body['secret_id'] === 'secret-1') ||
      (method === 'kubernetes' && body['role'] === 'keep' && body['jwt'] === 'jwt-1');
    if (!good || Object.keys(body).length !== 2) return no(400, 'invalid role or secret ID');
    const token = `hvs.${randomBytes(12).toString('hex')}`;
    tokens.add(token);
    return {
      status: 200,
      body: { auth: { client_token: token, lease_duration: leaseSeconds, renewable: true } },
    };
  };

  const transit = (verb: string, body: Record<string, unknown>): Answer => {
    const known = ['plaintext', 'ciphertext', 'context', 'associated_data'];
    const stranger = Object.keys(body).find((name) => !known.includes(name));
    if (stranger !== undefined) return no(400, `unknown field ${stranger}`);
    if (derived !== (body['context'] !== undefined)) return no(400, 'missing or needless context');
    if (verb === 'rewrap' && body['associated_data'] !== undefined)
      return no(400, 'rewrap takes no associated data');
    const context = bytesOf(body['context']);
    const data = bytesOf(body['associated_data']);
    const seal = (plaintext: Buffer): Answer => {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', keyOf(versions.length, context), iv, {
        authTagLength: 16,
      });
      cipher.setAAD(data);
      const sealed = Buffer.concat([iv, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
      return {
        status: 200,
        body: { data: { ciphertext: `vault:v${versions.length}:${sealed.toString('base64')}` } },
      };
    };
    if (verb === 'encrypt') return seal(bytesOf(body['plaintext']));
    const [, version = '', encoded = ''] = /^vault:v([0-9]+):(.+)$/.exec(String(body['ciphertext'])) ?? [];
    if (versions[Number(version) - 1] === undefined) return no(400, 'invalid ciphertext: no prefix');
    const sealed = Buffer.from(encoded, 'base64');
    try {
      const secret = keyOf(Number(version), context);
      const opener = createDecipheriv('aes-256-gcm', secret, sealed.subarray(0, 12), { authTagLength: 16 });
      opener.setAAD(data);
      opener.setAuthTag(sealed.subarray(-16));
      const plaintext = Buffer.concat([opener.update(sealed.subarray(12, -16)), opener.final()]);
      if (verb === 'rewrap') return seal(plaintext);
      return { status: 200, body: { data: { plaintext: plaintext.toString('base64') } } };
    } catch {
      return no(400, 'cipher: message authentication failed');
    }
  };

  const keyOf = (version: number, context: Buffer): Buffer =>
    derived
      ? Buffer.from(hkdfSync('sha256', versions[version - 1] as Buffer, '', context, 32))
      : (versions[version - 1] as Buffer);

  const answer = async (request: http.IncomingMessage, response: http.ServerResponse): Promise<void> => {
    const path = request.url ?? '';
    requests.push(`${request.method} ${path}`);
    const body = await text(request);
    const failure = failures.shift();
    const wellFormed = request.method === 'POST' && request.headers['content-type'] === 'application/json';
    const { status, body: reply } =
      failure !== undefined
        ? no(failure, 'Vault is sealed')
        : wellFormed
          ? handle(path, request.headers, JSON.parse(body) as Record<string, unknown>)
          : no(405, 'unsupported operation');
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(status === 429 && { 'retry-after': '3' }),
      ...(status === 307 && { location: 'http://127.0.0.1:1/' }),
    });
    response.end(reply === undefined ? undefined : JSON.stringify(reply));
  };

  const listener = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  };
  const server =
    options.tls === undefined ? http.createServer(listener) : https.createServer(options.tls, listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  t.after(stop);
  const { port } = server.address() as AddressInfo;
  return {
    address: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    requests,
    failures,
    revoked,
    tokens,
    rotate: () => void versions.push(randomBytes(32)),
    stop,
  };
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : '', 'base64');
}
