import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { Caller } from '../kernel/principal.ts';
import { Problem } from '../kernel/problem.ts';
import { type Answer, answerOf, answerToProblem, discard, isStream, sendAnswer } from './answer.ts';
import type { ClientAddress } from './client-address.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Connections } from './connection.ts';
import { createExchangeOpener, type Exchange } from './exchange.ts';
import type { Gate, ListenerKind } from './gate.ts';
import { checkHeaders, securityHeaders } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import type { HttpMetrics } from './metrics.ts';
import { httpProblems } from './problems.ts';
import { addPlace, createReceiptAdder } from './proof-headers.ts';
import { createCallReader } from './read-call.ts';
import type { Reply } from './route.ts';
import { matchTemplate, parseTarget } from './target.ts';
import { asError } from './thrown.ts';
import { type Part, validate } from './validate.ts';

export interface PipelineDeps {
  readonly gate: Gate;
  readonly limits: HttpLimits;
  readonly log: Log;
  readonly clock: Clock;
  readonly clientAddress: ClientAddress;
  readonly connections: Connections;
  readonly metrics: HttpMetrics | undefined;
  /** The whole table, to tell a wrong method from a wrong path. */
  readonly table: readonly CompiledRoute[];
  /** Clients reach this server by HTTPS, here or at a proxy in front. */
  readonly https: boolean;
}

export interface Pipeline {
  /** Answers one request. `route` is what the router found; the path is checked again here. Never rejects. */
  run(
    route: CompiledRoute | undefined,
    request: IncomingMessage,
    response: ServerResponse,
    listener: ListenerKind,
  ): void;
  /** From now on each answer closes its connection. */
  drain(): void;
  /** Resolves when no request is in flight. */
  idle(): Promise<void>;
  /** Tells every request in flight to stop; returns how many there are. */
  abort(reason: unknown): number;
}

export function createPipeline(deps: PipelineDeps): Pipeline {
  const { gate, limits, log, clock, connections, metrics } = deps;
  const running = new Set<Exchange>();
  const openExchange = createExchangeOpener(deps);
  const readCall = createCallReader(deps);
  const addReceipt = createReceiptAdder(deps);
  const base = Object.fromEntries(securityHeaders({ https: deps.https }));
  let draining = false;
  let onIdle: (() => void)[] = [];

  /** Limits, identify, authorize, read, validate, begin, handle: in this order, and the first refusal ends it. */
  async function serve(exchange: Exchange): Promise<Reply> {
    const { attempt, request } = exchange;
    checkHeaders(request.rawHeaders, request.headers, request.httpVersion, limits.headerCountMax);
    const target = parseTarget(request.url ?? '', limits.paramCharsMax);
    const found = exchange.route;
    let params = found && matchTemplate(found.template, target.segments);
    if (found === undefined || params === undefined) {
      exchange.route = undefined;
      attempt.route = 'unmatched';
      attempt.action = 'http.unmatched';
      exchange.caller = await gate.identify(attempt);
      throw unmatched(deps.table, target.segments);
    }
    if (found.guard.kind !== 'public') exchange.caller = await gate.identify(attempt);
    if (found.params !== undefined) {
      const part: Part = { name: 'params', value: params, schema: found.params };
      params = validate([part])[0] as Readonly<Record<string, string>>;
    }
    if (found.guard.kind === 'permission') {
      attempt.permission = found.guard.permission;
      attempt.resource = found.guard.scope({ params });
      gate.authorize(exchange.caller as Caller, attempt.permission, attempt.resource);
    }
    const call = await readCall(exchange, found, params, target.query);
    if (exchange.aborted !== undefined)
      throw httpProblems.client_gone('The connection closed before the work began.');
    if (!found.effect) return await found.route.handle(call);
    exchange.startId = await gate.begin(attempt, exchange.caller);
    return await gate.effect(exchange.startId, async () => await found.route.handle(call));
  }

  async function answer(exchange: Exchange): Promise<void> {
    const { attempt, request, response } = exchange;
    let ready: Answer;
    let failure: unknown;
    let reason = 'allowed';
    try {
      const reply = await serve(exchange);
      ready = answerOf(reply, exchange.route?.route.status ?? 200);
    } catch (error) {
      const problem = asProblem(error, exchange);
      failure = error;
      reason = problem.code;
      ready = answerToProblem(problem, attempt.requestId, exchange.route?.failure);
    }
    const marks: Record<string, string> = { 'x-request-id': attempt.requestId };
    const refused = DENIED.has(ready.status) && failure !== undefined;
    if (exchange.route === undefined || exchange.route.audited || refused) {
      try {
        const place = await gate.record(attempt, {
          ...(exchange.caller && { caller: exchange.caller }),
          decision: failure === undefined ? 'allow' : refused ? 'deny' : 'error',
          reason,
          status: ready.status,
          facts: exchange.facts,
          ...(failure !== undefined && { failure }),
          ...(exchange.startId !== undefined && { startId: exchange.startId }),
        });
        // Not to strangers: a flood of names that nobody has is counted, not recorded one by one, and the place would tell.
        if (place !== undefined && (failure === undefined || exchange.caller !== undefined)) {
          addPlace(marks, exchange, place);
          if (failure === undefined) await addReceipt(marks, exchange, place.index);
        }
      } catch (error) {
        discard(ready);
        log.error('http.unrecorded', {
          requestId: attempt.requestId,
          route: attempt.route,
          error: asError(error),
        });
        const problem =
          error instanceof Problem ? error : httpProblems.unrecorded('The audit log could not be written.');
        ready = answerToProblem(problem, attempt.requestId, exchange.route?.failure);
      }
    }
    metrics?.finished(attempt, ready.status, (clock.monotonic() - attempt.startedAt) / 1000);
    await send(exchange, ready, { ...base, ...ready.headers, ...marks });
    // The rest of a body that nobody wants: taken for a moment, so that the client reads the answer and not a reset.
    if (attempt.listener !== 'in-process' && !request.complete) {
      const { socket } = request;
      const impatient = setTimeout(() => socket.destroy(), LINGER_MS);
      request.once('end', () => clearTimeout(impatient)).once('close', () => clearTimeout(impatient));
    }
    if (!request.readableEnded && !response.destroyed) request.on('error', () => {}).resume();
  }

  async function send(exchange: Exchange, ready: Answer, headers: Record<string, string>): Promise<void> {
    const { attempt, request, response } = exchange;
    if (response.destroyed) return discard(ready);
    const unread = request.headers.expect !== undefined && !request.complete;
    if (draining || exchange.broken !== undefined || unread) headers['connection'] = 'close';
    try {
      const sent = sendAnswer(response, ready, headers, request.method === 'HEAD');
      // A client that stops reading its answer must not keep the connection for good.
      const waits = response.writableLength > 0 || isStream(ready.body);
      if (waits && attempt.listener !== 'in-process') {
        response.setTimeout(limits.streamIdleMs, () => response.destroy());
      }
      await sent;
    } catch (error) {
      log.warn('http.answer_broken', {
        requestId: attempt.requestId,
        route: attempt.route,
        error: asError(error),
      });
      response.destroy();
    }
  }

  /** What the caller may read. Whatever is not a Problem is ours to explain, in the operator's log only. */
  function asProblem(error: unknown, exchange: Exchange): Problem {
    const { requestId, route } = exchange.attempt;
    const reason = exchange.aborted?.reason;
    const problem = error instanceof Problem ? error : reason instanceof Problem ? reason : undefined;
    // Headers that can be read in two ways leave no agreement on where the next request starts.
    if (problem?.code === httpProblems.bad_headers.code) exchange.broken ??= problem;
    if (problem === undefined) log.error('http.failed', { requestId, route, error: asError(error) });
    else if (problem !== error)
      log.warn('http.stopped', { requestId, route, code: problem.code, error: asError(error) });
    else if (problem.status >= 500)
      log.error('http.problem', { requestId, route, code: problem.code, error: problem });
    return (
      problem ?? httpProblems.internal('The server failed. The operator log has the cause.', { cause: error })
    );
  }

  return {
    run(route, request, response, listener) {
      const exchange = openExchange(route, request, response, listener);
      running.add(exchange);
      connections.add(exchange);
      metrics?.started();
      const finish = (): void => {
        clearTimeout(exchange.timer);
        running.delete(exchange);
        connections.remove(exchange);
        if (running.size === 0) for (const resume of onIdle.splice(0)) resume();
      };
      answer(exchange).then(finish, (error: unknown) => {
        log.error('http.failed', { requestId: exchange.attempt.requestId, error: asError(error) });
        response.destroy();
        finish();
      });
    },
    drain() {
      draining = true;
    },
    idle() {
      if (running.size === 0) return Promise.resolve();
      return new Promise((resolve) => {
        onIdle = [...onIdle, resolve];
      });
    },
    abort(reason) {
      for (const exchange of running) exchange.abort(reason);
      return running.size;
    },
  };
}

const LINGER_MS = 1_000;
/** Failures of the guard: no or bad credential, no right, too many tries. */
const DENIED: ReadonlySet<number> = new Set([401, 403, 429]);

/** Who asks gets 404 or 405 only after `identify`: the shape of the API is public, but probing it is an attempt. */
function unmatched(table: readonly CompiledRoute[], segments: readonly string[]): Problem {
  const methods = new Set<string>();
  for (const { route, template } of table) {
    if (matchTemplate(template, segments) === undefined) continue;
    methods.add(route.method);
    if (route.method === 'GET') methods.add('HEAD');
  }
  if (methods.size === 0) return httpProblems.not_found('There is no route at this path.');
  const allow = [...methods].toSorted().join(', ');
  return httpProblems.method_not_allowed(`This path takes ${allow}.`, { headers: { allow } });
}
