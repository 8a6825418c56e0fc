import { connect } from 'node:net';
import { Readable } from 'node:stream';
import type { TestContext } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../kernel/clock.ts';
import { createLog } from '../kernel/log.ts';
import { DEFAULT_LIMITS, type HttpLimits } from './limits.ts';
import { createMemoryGate, type MemoryGate } from './memory-gate.ts';
import { type Call, type Route, root } from './route.ts';
import { createHttpServer, type HttpServer, type HttpServerOptions } from './server.ts';

export interface Harness {
  readonly server: HttpServer;
  readonly gate: MemoryGate;
  readonly port: number;
  /** The operator's log. */
  readonly lines: string[];
  /** How often a handler ran. */
  readonly handled: string[];
  readonly fetch: (
    path: string,
    init?: Omit<RequestInit, 'headers'> & { as?: string; headers?: Record<string, string> },
  ) => Promise<Response>;
  /** Sends bytes as they are, and gives all that comes back until the server closes. */
  readonly raw: (bytes: string | Buffer) => Promise<string>;
}

const json = { 'content-type': 'application/json' };

/** The body of a refusal. */
export async function readProblem(response: Response): Promise<Record<string, unknown>> {
  return (await response.json()) as Record<string, unknown>;
}

/** A server on a free port with one route of every kind, closed when the test ends. */
export async function startServer(
  t: TestContext,
  options: Partial<Omit<HttpServerOptions, 'limits'>> & {
    limits?: Partial<HttpLimits>;
    extra?: readonly Route[];
  } = {},
): Promise<Harness> {
  const gate = createMemoryGate();
  const lines: string[] = [];
  const handled: string[] = [];
  const server = await createHttpServer({
    gate,
    clock: systemClock,
    log: createLog({ write: (line) => lines.push(line), clock: systemClock }),
    ...options,
    routes: [...testRoutes(handled), ...(options.extra ?? [])],
    limits: { ...DEFAULT_LIMITS, ...options.limits },
  });
  t.after(() => server.close(50));
  const address = await server.listen({ host: '127.0.0.1', port: 0 });
  if (address.kind !== 'tcp') throw new TypeError('expected a TCP listener');
  const { port } = address;
  return {
    server,
    gate,
    port,
    lines,
    handled,
    fetch(path, { as = 'ada', headers, ...init } = {}) {
      const all = {
        ...(as !== '' && { authorization: `Bearer ${as}` }),
        ...(init.body !== undefined && json),
        ...headers,
      };
      return fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: all });
    },
    raw: (bytes) => sendRaw(port, bytes),
  };
}

export function sendRaw(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('close', () => resolve(text)).on('error', reject);
  });
}

function testRoutes(handled: string[]): readonly Route[] {
  const ran = (name: string): void => {
    handled.push(name);
  };
  const common = { tag: 'test', summary: 'A route of the tests' };
  return [
    {
      ...common,
      method: 'GET',
      path: '/things/{thing}',
      guard: { permission: 'thing.read', scope: ({ params }) => `/things/${params['thing']}` },
      audit: 'thing.read',
      request: { query: z.strictObject({ limit: z.coerce.number().int().max(10).optional() }) },
      handle: ({ params, query }) => {
        ran('read');
        return { body: { thing: params['thing'], limit: query['limit'] ?? null } };
      },
    },
    {
      ...common,
      method: 'POST',
      path: '/things',
      guard: { permission: 'thing.create', scope: root },
      audit: 'thing.create',
      status: 201,
      request: { body: z.strictObject({ name: z.string(), size: z.int().optional() }) },
      handle: (call) => {
        ran('create');
        call.note({ detail: { name: (call.body as { name: string }).name } });
        call.note({ detail: { bytes: call.bytes.length } });
        return { body: call.body, headers: { location: '/things/x' } };
      },
    },
    {
      ...common,
      method: 'POST',
      path: '/upload',
      guard: { permission: 'thing.upload', scope: root },
      audit: 'thing.upload',
      request: { body: { stream: 'application/octet-stream', bytesMax: 100_000 } },
      handle: async ({ stream }) => {
        ran('upload');
        let size = 0;
        for await (const chunk of stream) size += (chunk as Buffer).length;
        return { body: { size } };
      },
    },
    {
      ...common,
      method: 'GET',
      path: '/download',
      guard: { authenticated: 'a test' },
      audit: 'thing.download',
      handle: () => ({ body: Readable.from([Buffer.from('abc'), Buffer.from('def')]) }),
    },
    {
      ...common,
      method: 'GET',
      path: '/whoami',
      guard: { authenticated: 'a test' },
      audit: 'whoami.read',
      handle: ({ caller, headers, source }: Call) => ({
        body: { name: caller.principal.name, headers, source },
      }),
    },
    {
      ...common,
      method: 'GET',
      path: '/fail',
      guard: { authenticated: 'a test' },
      audit: 'fail',
      handle: () => {
        throw new Error('reading failed', { cause: new Error('password hunter2 was refused') });
      },
    },
    {
      ...common,
      method: 'POST',
      path: '/protocol',
      kind: 'read',
      guard: { permission: 'thing.read', scope: root },
      audit: 'protocol',
      request: { body: z.object({ x: z.number() }) },
      failure: ({ status, detail }) => ({ status, contentType: 'application/json', body: { error: detail } }),
      handle: () => ({ body: { ok: true } }),
    },
    {
      ...common,
      method: 'GET',
      path: '/livez',
      guard: { public: 'a test' },
      audit: { none: 'a test' },
      handle: () => ({ body: { live: true } }),
    },
    {
      ...common,
      method: 'GET',
      path: '/counted',
      guard: { permission: 'system.metrics', scope: root },
      audit: { none: 'a test' },
      handle: () => ({ headers: { 'content-type': 'text/plain' }, body: 'metrics' }),
    },
    {
      ...common,
      method: 'POST',
      path: '/setup',
      guard: { public: 'a one-time token is in the body' },
      audit: 'setup.complete',
      request: { body: z.object({ token: z.string() }) },
      handle: (call) => {
        ran('setup');
        assertNoCaller(call);
        return { status: 204 };
      },
    },
  ];
}

function assertNoCaller(call: Call): void {
  let threw = false;
  try {
    void call.caller;
  } catch {
    threw = true;
  }
  if (!threw) throw new Error('a public route must not see a caller');
}
