import type { Caller } from '../kernel/principal.ts';
import { checkAnnouncedLength, checkMediaType, hasBody, limitStream, readBody } from './body.ts';
import type { CompiledRoute } from './compiled-route.ts';
import type { Exchange } from './exchange.ts';
import type { Gate } from './gate.ts';
import { publicHeaders } from './headers.ts';
import type { HttpLimits } from './limits.ts';
import { httpProblems } from './problems.ts';
import type { Call } from './route.ts';
import { parseQuery } from './target.ts';
import { parseJsonBody, type Part, validate } from './validate.ts';

export interface CallReaderDeps {
  readonly gate: Pick<Gate, 'authorize'>;
  readonly limits: HttpLimits;
}

export type CallReader = (
  exchange: Exchange,
  route: CompiledRoute,
  params: Call['params'],
  rawQuery: string,
) => Promise<Call>;

/** Reads the rest of a request that passed the guard, as its route wants it. Throws the problem of what does not fit. */
export function createCallReader({ gate, limits }: CallReaderDeps): CallReader {
  return async function readCall(exchange, { body, query: querySchema }, params, rawQuery) {
    const { request, response } = exchange;
    let bytes: Uint8Array = NOTHING;
    if (hasBody(request)) {
      if (body.kind === 'none') throw httpProblems.body_refused('This route takes no body.');
      const bytesMax = body.bytesMax ?? (body.kind === 'json' ? limits.bodyBytesMax : limits.streamBytesMax);
      checkAnnouncedLength(request, bytesMax);
      checkMediaType(request, body.kind === 'json' ? 'application/json' : body.mediaType);
      if (request.headers.expect !== undefined) response.writeContinue();
      if (body.kind === 'json') bytes = await readBody(request, exchange, { bytesMax, ms: limits.bodyMs });
    }
    const parts: Part[] = [];
    if (querySchema !== undefined)
      parts.push({ name: 'query', value: parseQuery(rawQuery), schema: querySchema });
    if (body.kind === 'json') {
      const value = bytes.length === 0 ? undefined : parseJsonBody(bytes, limits.jsonDepthMax);
      parts.push({ name: 'body', value, schema: body.schema });
    }
    const values = parts.length === 0 ? [] : validate(parts);
    const query = (querySchema === undefined ? {} : values.shift()) as Call['query'];
    return callOf(exchange, { params, query, body: values[0], bytes });
  };

  function callOf(exchange: Exchange, parts: Pick<Call, 'params' | 'query' | 'body' | 'bytes'>): Call {
    const { attempt, request, route } = exchange;
    const streamed = route?.body.kind === 'stream' ? route.body : undefined;
    let stream: Call['stream'] | undefined;
    let headers: Call['headers'] | undefined;
    return {
      ...parts,
      get stream() {
        const bytesMax = streamed?.bytesMax ?? limits.streamBytesMax;
        stream ??= limitStream(request, exchange, { bytesMax, ms: limits.streamIdleMs });
        return stream;
      },
      get headers() {
        headers ??= publicHeaders(request.headers);
        return headers;
      },
      get caller() {
        return callerOf(exchange);
      },
      requestId: attempt.requestId,
      source: attempt.source,
      get signal() {
        return signalOf(exchange);
      },
      note(facts) {
        const { detail } = exchange.facts;
        exchange.facts = { ...exchange.facts, ...facts };
        if (detail && facts.detail)
          exchange.facts = { ...exchange.facts, detail: { ...detail, ...facts.detail } };
      },
      require(permission, scope) {
        gate.authorize(callerOf(exchange), permission, scope);
      },
    };
  }

  /** Made on demand: most handlers answer at once and never look. */
  function signalOf(exchange: Exchange): AbortSignal {
    if (exchange.controller === undefined) {
      const controller = new AbortController();
      exchange.controller = controller;
      const late = (): void =>
        exchange.abort(httpProblems.deadline(`No answer within ${limits.handleMs} ms.`));
      if (exchange.aborted === undefined) exchange.timer = setTimeout(late, limits.handleMs);
      else controller.abort(exchange.aborted.reason);
    }
    return exchange.controller.signal;
  }
}

const NOTHING = new Uint8Array(0);

function callerOf({ caller }: Pick<Exchange, 'caller'>): Caller {
  if (caller === undefined) throw new TypeError('a public route has no caller');
  return caller;
}
