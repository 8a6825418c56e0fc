import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import { Secret } from '../kernel/secret.ts';
import type { ClientAddress } from './client-address.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { InFlight } from './connection.ts';
import type { Attempt, ListenerKind } from './gate.ts';
import { httpProblems } from './problems.ts';
import { createRequestIds } from './request-id.ts';
import type { AuditFacts } from './route.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/** What is known of one request while it is served. */
export interface Exchange extends InFlight {
  readonly response: ServerResponse;
  readonly attempt: Mutable<Attempt>;
  /** Undefined when nothing in the table fits, or until the path has been checked. */
  route: CompiledRoute | undefined;
  caller: Caller | undefined;
  startId: string | undefined;
  facts: AuditFacts;
  controller: AbortController | undefined;
  timer: NodeJS.Timeout | undefined;
  aborted: { readonly reason: unknown } | undefined;
}

export interface ExchangeOpenerDeps {
  readonly clock: Clock;
  readonly clientAddress: ClientAddress;
}

export type ExchangeOpener = (
  route: CompiledRoute | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  listener: ListenerKind,
) => Exchange;

/** Opens the exchange of a request whose headers are in; it is aborted when the client goes before the answer has. */
export function createExchangeOpener({ clock, clientAddress }: ExchangeOpenerDeps): ExchangeOpener {
  const nextRequestId = createRequestIds(clock);
  return (route, request, response, listener) => {
    const { authorization } = request.headers;
    const exchange: Exchange = {
      request,
      response,
      route,
      attempt: {
        requestId: nextRequestId(),
        method: request.method ?? '',
        route: route?.route.path ?? 'unmatched',
        action: route?.action ?? 'http.unmatched',
        listener,
        source: sourceOf(request, listener, clientAddress),
        ...(authorization !== undefined && { authorization: new Secret(authorization) }),
        startedAt: clock.monotonic(),
      },
      caller: undefined,
      startId: undefined,
      facts: {},
      controller: undefined,
      timer: undefined,
      aborted: undefined,
      broken: undefined,
      onBroken: undefined,
      abort(reason) {
        if (exchange.aborted !== undefined) return;
        exchange.aborted = { reason };
        exchange.controller?.abort(reason);
      },
    };
    response.once('close', () => {
      if (!response.writableFinished) exchange.abort(httpProblems.client_gone('The connection closed.'));
    });
    return exchange;
  };
}

function sourceOf(
  request: IncomingMessage,
  listener: ListenerKind,
  clientAddress: ClientAddress,
): Attempt['source'] {
  if (listener !== 'tcp') return { address: listener, port: 0 };
  const { remoteAddress = '', remotePort = 0 } = request.socket;
  const forwarded = request.headers['x-forwarded-for'];
  const address = clientAddress(remoteAddress, Array.isArray(forwarded) ? forwarded.join(',') : forwarded);
  const port = address === remoteAddress ? remotePort : 0;
  const agent = request.headers['user-agent'];
  return agent === undefined ? { address, port } : { address, port, agent };
}
