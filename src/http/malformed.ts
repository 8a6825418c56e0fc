import type { Socket } from 'node:net';
import { encodeBase64 } from '../kernel/base64.ts';
import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import type { Log } from '../kernel/log.ts';
import { Problem } from '../kernel/problem.ts';
import type { Connections } from './connection.ts';
import type { Attempt, Gate, ListenerKind } from './gate.ts';
import { securityHeaders } from './headers.ts';
import type { HttpMetrics } from './metrics.ts';
import { httpProblems } from './problems.ts';

export interface MalformedDeps {
  readonly gate: Gate;
  readonly log: Log;
  readonly clock: Clock;
  readonly connections: Connections;
  readonly metrics: HttpMetrics | undefined;
  readonly https: boolean;
}

/**
 * Answers bytes that never became a request: refuses, records, closes. A body that stops being readable belongs to
 * the request that announced it, and is handed there instead.
 */
export function createMalformed(deps: MalformedDeps) {
  const { gate, log, clock, connections, metrics } = deps;
  const base = securityHeaders({ https: deps.https });

  async function refuse(
    socket: Socket,
    problem: Problem,
    listener: ListenerKind,
    method: string,
  ): Promise<void> {
    const attempt: Attempt = {
      requestId: newId('req', clock),
      method,
      route: 'unmatched',
      action: 'http.malformed',
      listener,
      source:
        listener === 'tcp'
          ? { address: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
          : { address: listener, port: 0 },
      startedAt: clock.monotonic(),
    };
    socket.on('error', () => socket.destroy());
    metrics?.started();
    let sent = problem;
    const headers = [...base, ['x-request-id', attempt.requestId]];
    try {
      const outcome = { decision: 'error', reason: problem.code, status: problem.status, facts: {} } as const;
      const place = await gate.record(attempt, { ...outcome, failure: problem });
      if (place !== undefined)
        headers.push(['audit-index', String(place.index)], ['audit-leaf', encodeBase64(place.leaf)]);
    } catch (error) {
      log.error('http.unrecorded', {
        requestId: attempt.requestId,
        error: error instanceof Error ? error : undefined,
      });
      sent =
        error instanceof Problem ? error : httpProblems.unrecorded('The audit log could not be written.');
    }
    metrics?.finished(attempt, sent.status, (clock.monotonic() - attempt.startedAt) / 1000);
    // Earlier requests on this connection still have answers to come, and bytes written now would land inside them.
    connections.whenIdle(socket, () => {
      if (!socket.writable) return socket.destroy();
      const body = JSON.stringify({ ...sent.toJSON(), requestId: attempt.requestId });
      headers.push(
        ['content-type', 'application/problem+json'],
        ['content-length', String(Buffer.byteLength(body))],
      );
      const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`).join('');
      socket.end(
        `HTTP/1.1 ${sent.status} ${REASON[sent.status] ?? 'Refused'}\r\n${lines}connection: close\r\n\r\n${body}`,
      );
      socket.once('finish', () => socket.destroySoon());
      return socket.setTimeout(LINGER_MS, () => socket.destroy());
    });
  }

  return {
    /** For Node's `clientError`. */
    onClientError(failure: Error & { code?: string }, socket: Socket, listener: ListenerKind): void {
      const problem = problemOf(failure.code ?? '');
      if (connections.breakBody(socket, problem)) return;
      // The peer vanished between requests: nothing was asked, so there is nothing to refuse.
      if (problem.code === httpProblems.client_gone.code) socket.destroy();
      else refuse(socket, problem, listener, 'unknown').catch(() => socket.destroy());
    },
    /** For `CONNECT` and upgrades, which Node gives as a bare socket. */
    onTunnel(method: string, socket: Socket, listener: ListenerKind): void {
      const problem = httpProblems.method_not_allowed('This server opens no tunnels.', {
        headers: { allow: 'GET, POST' },
      });
      refuse(socket, problem, listener, method).catch(() => socket.destroy());
    },
  };
}

const LINGER_MS = 1_000;
const REASON: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  405: 'Method Not Allowed',
  408: 'Request Timeout',
  431: 'Request Header Fields Too Large',
  503: 'Service Unavailable',
};

function problemOf(code: string): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return httpProblems.headers_too_large(
        'The request line and headers are larger than this server takes.',
      );
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return httpProblems.slow_request('The headers did not arrive in time.');
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
    case 'ETIMEDOUT':
      return httpProblems.client_gone('The connection closed before the request was complete.');
    default:
      return httpProblems.malformed('The bytes on this connection could not be read as HTTP/1.1.');
  }
}
