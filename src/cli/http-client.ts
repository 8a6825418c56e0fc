import {
  request as httpRequest,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Secret } from '../kernel/secret.ts';
import { CliFailure, usage } from './failure.ts';
import { ApiFailure, type KeepCall, type KeepClient } from './keep-client.ts';

/** Where a running server listens. */
export type Endpoint =
  | { readonly kind: 'socket'; readonly path: string }
  | { readonly kind: 'url'; readonly url: URL; readonly authorization?: Secret<string> };

/** A management answer is pages of facts, never an artifact. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Without a byte either way for this long, the server is taken for dead. Loading a large model takes a while. */
const IDLE_MS_MAX = 120_000;

/**
 * Accepts `https:` anywhere and `http:` to this machine alone: a credential never crosses a network in clear.
 */
export function parseServerUrl(text: string): URL {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw usage(
      `--server ${text} is not an http or https URL`,
      'for example --server https://keep.example.com',
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw usage('--server must not hold a user name or password', 'set MODELKEEP_API_KEY, or MODELKEEP_USER');
  }
  if (url.search !== '' || url.hash !== '') throw usage(`--server ${text} must not hold a query or fragment`);
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw usage(
      `--server ${text} would send credentials in clear`,
      'use https, or reach the server over loopback',
    );
  }
  return url;
}

function isLoopback(hostname: string): boolean {
  const bare = hostname.replace(/^\[|\]$/g, '');
  return bare === 'localhost' || bare === '::1' || (isIP(bare) === 4 && bare.startsWith('127.'));
}

/** Speaks HTTP to a running server. Redirects are not followed: a credential goes where it was meant to go. */
export function createHttpClient(endpoint: Endpoint): KeepClient {
  return {
    async request<T>(call: KeepCall): Promise<T> {
      const response = await exchange(endpoint, call);
      const bytes = await readAll(response);
      return (bytes.length === 0 ? undefined : parseAnswer(bytes)) as T;
    },
    async *download(call) {
      yield* (await exchange(endpoint, call)) as AsyncIterable<Uint8Array>;
    },
    close: () => Promise.resolve(),
  };
}

/** The answer, when its status is 2xx. */
async function exchange(endpoint: Endpoint, call: KeepCall): Promise<IncomingMessage> {
  const request = open(endpoint, call);
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', (error) => reject(unreachable(endpoint, error)));
    request.once('timeout', () => request.destroy(new Error('no answer in time')));
  });
  await Promise.race([answered, send(request, call)]);
  const response = await answered;
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  const problem = await readProblem(response);
  // The rest of a refused upload is of no use to anybody.
  request.destroy();
  throw new ApiFailure(status, problem);
}

function open(endpoint: Endpoint, call: KeepCall): ClientRequest {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(call.query ?? {}))
    if (value !== undefined) query.set(name, value);
  const path = query.size === 0 ? call.path : `${call.path}?${query.toString()}`;
  const headers: Record<string, string> = { accept: 'application/json, application/problem+json' };
  const options: RequestOptions = { method: call.method, headers, timeout: IDLE_MS_MAX };
  if (call.stream !== undefined) headers['content-type'] = call.contentType ?? 'application/octet-stream';
  else if (call.body !== undefined) headers['content-type'] = 'application/json';
  if (endpoint.kind === 'socket') return httpRequest({ ...options, socketPath: endpoint.path, path });

  if (endpoint.authorization !== undefined) headers['authorization'] = endpoint.authorization.reveal();
  const { url } = endpoint;
  const prefix = url.pathname.replace(/\/+$/, '');
  return (url.protocol === 'https:' ? httpsRequest : httpRequest)({
    ...options,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    ...(url.port === '' ? {} : { port: Number(url.port) }),
    path: `${prefix}${path}`,
  });
}

/** Never resolves after a failed write: the answer, or the request's own error, says what happened. */
async function send(request: ClientRequest, call: KeepCall): Promise<void> {
  if (call.stream === undefined) {
    request.end(call.body === undefined ? undefined : JSON.stringify(call.body));
    return;
  }
  const source = Readable.from(call.stream, { objectMode: false });
  let sourceError: unknown;
  source.once('error', (error) => {
    sourceError = error;
  });
  try {
    await pipeline(source, request);
  } catch {
    if (sourceError !== undefined) throw sourceError;
    await new Promise(() => {});
  }
}

function unreachable(endpoint: Endpoint, error: NodeJS.ErrnoException): CliFailure {
  const where = endpoint.kind === 'socket' ? endpoint.path : endpoint.url.origin;
  const why = REASONS[error.code ?? ''] ?? error.message;
  const untrusted = /CERT|SELF_SIGNED|SIGNATURE/.test(error.code ?? '');
  return new CliFailure(`cannot reach the server at ${where}: ${why}`, {
    cause: error,
    hint: untrusted ? 'name the certificate authority with NODE_EXTRA_CA_CERTS=FILE' : undefined,
  });
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOENT: 'nothing listens there',
  EACCES: 'this user may not open the socket',
  ENOTFOUND: 'no such host',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
};

async function readAll(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new CliFailure(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function readProblem(response: IncomingMessage): Promise<ApiFailure['problem']> {
  const bytes = await readAll(response).catch(() => new Uint8Array());
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    // The protocols of the data plane put their sentence under `error`.
    if (typeof value === 'object' && value !== null) {
      const { error } = value as { error?: unknown };
      return typeof error === 'string' ? { ...value, detail: error } : value;
    }
  } catch {
    // Not JSON: a proxy in between, most likely. The status tells what there is to tell.
  }
  return {};
}

function parseAnswer(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch (error) {
    throw new CliFailure('the answer is not JSON', {
      cause: error,
      hint: 'is this the address of a Modelkeep server?',
    });
  }
}
