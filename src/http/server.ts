import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import http, { IncomingMessage, type Server, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import Fastify, { type HTTPMethods } from 'fastify';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Secret } from '../kernel/secret.ts';
import { createClientAddress } from './client-address.ts';
import { type CompiledRoute, compileRoutes } from './compiled-route.ts';
import { createConnections } from './connection.ts';
import type { Gate, ListenerKind } from './gate.ts';
import type { HttpLimits } from './limits.ts';
import { createMalformed } from './malformed.ts';
import type { HttpMetrics } from './metrics.ts';
import { createPipeline } from './pipeline.ts';
import { httpProblems } from './problems.ts';
import type { Route } from './route.ts';

export interface HttpServerOptions {
  readonly routes: readonly Route[];
  readonly gate: Gate;
  readonly limits: HttpLimits;
  readonly log: Log;
  readonly clock: Clock;
  /** PEM texts. TCP listeners speak TLS 1.2 or later when given. */
  readonly tls?: { readonly cert: string; readonly key: Secret<string> };
  /** A proxy in front ends TLS: answers carry HSTS though this server speaks plain HTTP. */
  readonly tlsTerminatedUpstream?: boolean;
  /** Addresses or networks whose `x-forwarded-for` is believed. */
  readonly trustedProxies?: readonly string[];
  readonly metrics?: HttpMetrics;
}

/** One route table on any number of listeners. */
export interface HttpServer {
  /** Throws `http.cannot_listen`. Port 0 takes a free one. */
  listen(where: ListenAt): Promise<Address>;
  addresses(): readonly Address[];
  /** A request of this program's own, without a socket: the gate sees the listener `in-process`. */
  inject(request: InjectedRequest): Promise<InjectedReply>;
  /**
   * Stops accepting, lets requests in flight finish, and cuts those that have not after `deadlineMs` (default
   * 10 s). Resolves with the number of those that were told to stop.
   */
  close(deadlineMs?: number): Promise<{ readonly aborted: number }>;
}

/** A socket file gets `mode` (default 0600); a stale one is replaced, so the caller must hold the keep's lock. */
export type ListenAt =
  | { readonly host: string; readonly port: number }
  | { readonly path: string; readonly mode?: number };

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly url: string }
  | { readonly kind: 'local'; readonly path: string };

export interface InjectedRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | Readable;
}

export interface InjectedReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** The body as it comes; read it or `bytes`, not both. */
  readonly stream: Readable;
  bytes(): Promise<Uint8Array>;
}

/** Throws a TypeError if the route table has a hole: the server must not start with one. */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { gate, limits, log, clock, metrics } = options;
  const table = compileRoutes(options.routes);
  const connections = createConnections();
  const secure = options.tls !== undefined || options.tlsTerminatedUpstream === true;
  const shared = { gate, log, clock, connections, metrics, https: secure };
  const clientAddress = createClientAddress(options.trustedProxies ?? []);
  const pipeline = createPipeline({ ...shared, limits, clientAddress, table });
  const malformed = createMalformed(shared);
  const listenerOf = new WeakMap<IncomingMessage, ListenerKind>();

  const run = (
    route: CompiledRoute | undefined,
    request: IncomingMessage,
    response: ServerResponse,
  ): void => {
    const listener = listenerOf.get(request);
    if (listener !== undefined) pipeline.run(route, request, response, listener);
    // In-process callers may be trusted, so a request from a socket must never be taken for one.
    else if (request instanceof IncomingMessage) request.socket.destroy();
    else pipeline.run(route, request, response, 'in-process');
  };
  const app = await createRouter(table, run);
  const servers: { readonly server: Server; readonly address: Address }[] = [];

  function createListener(kind: ListenerKind): Server {
    const settings: http.ServerOptions = {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersMs,
      // Bodies have deadlines of their own, by route: an upload of gigabytes is not slow.
      requestTimeout: 0,
      keepAliveTimeout: limits.keepAliveMs,
      connectionsCheckingInterval: Math.max(50, Math.min(1_000, limits.headersMs / 2)),
      insecureHTTPParser: false,
      // Checked in the pipeline, where the refusal is recorded.
      requireHostHeader: false,
      noDelay: true,
    };
    const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
      listenerOf.set(request, kind);
      app.routing(request, response);
    };
    const { tls } = options;
    const server =
      tls !== undefined && kind === 'tcp'
        ? https.createServer(
            {
              ...settings,
              cert: tls.cert,
              key: tls.key.reveal(),
              minVersion: 'TLSv1.2',
              ALPNProtocols: ['http/1.1'],
            },
            onRequest,
          )
        : http.createServer(settings, onRequest);
    // Node would drop the surplus in silence; the pipeline refuses it instead.
    server.maxHeadersCount = 0;
    server.maxConnections = limits.connectionsMax;
    server.on('checkContinue', onRequest).on('checkExpectation', onRequest);
    server.on('clientError', (error, socket) => malformed.onClientError(error, socket as Socket, kind));
    server.on('connect', (_request, socket) => malformed.onTunnel('CONNECT', socket as Socket, kind));
    server.on('drop', () => metrics?.dropped());
    server.on('tlsClientError', (error) => log.info('http.tls_refused', { error }));
    return server;
  }

  return {
    async listen(where) {
      const kind = 'path' in where ? 'local' : 'tcp';
      const server = createListener(kind);
      await open(server, where);
      const address = addressOf(server, where, options.tls !== undefined);
      servers.push({ server, address });
      log.info('http.listening', { at: address.kind === 'tcp' ? address.url : address.path });
      return address;
    },
    addresses: () => servers.map(({ address }) => address),
    async inject({ method, url, headers = {}, body }) {
      const payload =
        body instanceof Uint8Array ? Buffer.from(body.buffer, body.byteOffset, body.byteLength) : body;
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: { host: 'localhost', ...headers },
        payloadAsStream: true,
        ...(payload !== undefined && { payload }),
      });
      const flat: Record<string, string> = {};
      for (const [name, value] of Object.entries(response.headers)) flat[name] = String(value);
      const stream = response.stream();
      return { status: response.statusCode, headers: flat, stream, bytes: () => buffer(stream) };
    },
    async close(deadlineMs = 10_000) {
      pipeline.drain();
      const closed = servers.map(
        ({ server }) => new Promise<void>((resolve) => server.close(() => resolve())),
      );
      for (const { server } of servers) server.closeIdleConnections();
      let aborted = 0;
      if (!(await within(pipeline.idle(), deadlineMs))) {
        aborted = pipeline.abort(httpProblems.deadline('The server is stopping.'));
        await within(pipeline.idle(), ABORT_GRACE_MS);
      }
      await within(Promise.all(closed), LINGER_MS);
      // What is left has had its time.
      for (const { server } of servers) server.closeAllConnections();
      await Promise.all(closed);
      servers.length = 0;
      await app.close();
      return { aborted };
    },
  };
}

const ABORT_GRACE_MS = 1_000;
/** For clients to read their last answer and hang up. */
const LINGER_MS = 1_000;

type Run = (route: CompiledRoute | undefined, request: IncomingMessage, response: ServerResponse) => void;

/** Fastify finds the route and hands over the raw pair before it would read anything; it never sees a body. */
async function createRouter(table: readonly CompiledRoute[], run: Run) {
  const app = Fastify({
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    requestIdHeader: false,
    genReqId: () => '',
    // Listeners are made by `listen`; this one only satisfies Fastify.
    serverFactory: () => http.createServer(),
    frameworkErrors: (_error, request, reply) => {
      reply.hijack();
      run(undefined, request.raw, reply.raw);
    },
    routerOptions: { maxParamLength: 65_536, querystringParser: () => ({}) },
  });
  for (const compiled of table) {
    const { method, path } = compiled.route;
    const methods: HTTPMethods[] = method === 'GET' ? ['GET', 'HEAD'] : [method];
    app.route({
      method: methods,
      url: path.replaceAll(':', '::').replaceAll(/\{([^}]*)\}/g, ':$1'),
      onRequest: (request, reply) => {
        reply.hijack();
        run(compiled, request.raw, reply.raw);
      },
      handler: unreachable,
    });
  }
  app.setNotFoundHandler({}, unreachable);
  app.addHook('onRequest', (request, reply, done) => {
    if (!request.is404) return done();
    reply.hijack();
    return run(undefined, request.raw, reply.raw);
  });
  await app.ready();
  return app;
}

const unreachable = (): never => {
  throw new Error('the pipeline answers before any handler of the router runs');
};

function open(server: Server, where: ListenAt): Promise<void> {
  return new Promise((resolve, reject) => {
    const place = 'path' in where ? where.path : `${where.host}:${where.port}`;
    const onError = (error: NodeJS.ErrnoException): void => {
      const why = REASONS[error.code ?? ''] ?? 'the system refused';
      reject(httpProblems.cannot_listen(`Cannot listen at ${place}: ${why}.`, { cause: error }));
    };
    server.once('error', onError);
    server.once('listening', () => {
      server.off('error', onError);
      resolve();
    });
    try {
      if ('path' in where) openSocketFile(server, where.path, where.mode ?? 0o600);
      else server.listen({ host: where.host, port: where.port });
    } catch (error) {
      onError(error as NodeJS.ErrnoException);
    }
  });
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'the address is not of this machine',
  EACCES: 'not permitted',
  ENOENT: 'its directory does not exist',
  ENOTFOUND: 'the host name is unknown',
  EINVAL: 'the path of a socket may have at most 107 bytes',
};

function openSocketFile(server: Server, path: string, mode: number): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path);
  // Bound with nobody else's rights from the first instant; the call binds before it returns.
  const before = process.umask(0o177);
  try {
    server.listen(path);
  } finally {
    process.umask(before);
  }
  if (server.listening) chmodSync(path, mode);
}

function addressOf(server: Server, where: ListenAt, tls: boolean): Address {
  if ('path' in where) return { kind: 'local', path: where.path };
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : where.port;
  const host = where.host.includes(':') ? `[${where.host}]` : where.host;
  return { kind: 'tcp', host: where.host, port, url: `${tls ? 'https' : 'http'}://${host}:${port}` };
}

/** Resolves to false if `work` has not settled after `ms`. */
async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
