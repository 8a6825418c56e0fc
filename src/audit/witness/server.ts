import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Log } from '../../kernel/log.ts';
import { SUBMISSION_BYTES_MAX } from './protocol.ts';
import type { Witness, WitnessAnswer } from './witness.ts';

export interface WitnessServer {
  /** Without a slash at the end: submission prefix and monitoring prefix in one. */
  readonly url: string;
  /** Stops listening, lets requests under way end, and closes idle connections. */
  close(): Promise<void>;
}

export interface WitnessServerOptions {
  readonly witness: Witness;
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly log: Log;
}

/** Serves a witness over HTTP. Whoever comes needs no credential: the log's signature is the admission. */
export async function serveWitness({
  witness,
  host,
  port,
  log,
}: WitnessServerOptions): Promise<WitnessServer> {
  const server = createServer(
    {
      maxHeaderSize: 8 * 1024,
      headersTimeout: 5_000,
      requestTimeout: 10_000,
      keepAliveTimeout: 60_000,
      connectionsCheckingInterval: 2_000,
    },
    (request, response) => {
      answer(request).then(
        (reply) => send(request, response, reply),
        (error: Error) => {
          log.error('witness.failed', { error });
          send(request, response, { status: 500, body: 'the witness could not answer\n' });
        },
      );
    },
  );
  server.maxConnections = 256;
  await listen(server, host, port);
  const { address, family, port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${bound}`,
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeIdleConnections();
      await closed;
    },
  };

  async function answer(request: IncomingMessage): Promise<Reply> {
    const { method = '', url = '' } = request;
    if (url === '/add-checkpoint') {
      if (method !== 'POST') return wrongMethod('POST');
      const body = await readBody(request);
      if (body === undefined) return { status: 413, body: 'the body is too long\n' };
      const reply = witness.addCheckpoint(body);
      log.info('witness.answered', { status: reply.status });
      return reply;
    }
    const [, hash] = /^\/([0-9a-f]{64})\/checkpoint$/.exec(url) ?? [];
    if (hash === undefined) return { status: 404, body: 'there is nothing here\n' };
    if (method !== 'GET') return wrongMethod('GET');
    const checkpoint = witness.checkpoint(hash);
    return checkpoint === undefined
      ? { status: 404, body: 'no checkpoint of this log was cosigned\n' }
      : { status: 200, body: checkpoint };
  }
}

interface Reply extends Partial<Pick<WitnessAnswer, 'type'>> {
  readonly status: number;
  readonly body: string;
  readonly allow?: string;
}

const wrongMethod = (allow: string): Reply => ({ status: 405, body: 'another method is needed\n', allow });

function send(
  request: IncomingMessage,
  response: ServerResponse,
  { status, type, body, allow }: Reply,
): void {
  // What is left of a body that was not read would be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close');
  if (allow !== undefined) response.setHeader('allow', allow);
  response.setHeader('content-type', type ?? 'text/plain; charset=utf-8');
  response.setHeader('x-content-type-options', 'nosniff');
  response.setHeader('cache-control', 'no-store');
  response.statusCode = status;
  response.end(body);
}

/** Undefined if it is too long. Rejects if the other side goes away. */
async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > SUBMISSION_BYTES_MAX) return undefined;
  const chunks: Buffer[] = [];
  let bytes = 0;
  return await new Promise((resolve, reject) => {
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= SUBMISSION_BYTES_MAX) {
        chunks.push(chunk);
        return;
      }
      request.pause();
      resolve(undefined);
    });
    request.on('end', () => resolve(Buffer.concat(chunks)));
    request.on('error', reject);
  });
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
