import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import type { Caller } from '../kernel/principal.ts';
import type { Call, Route } from './route.ts';
import { matchTemplate, parseTarget, parseTemplate } from './target.ts';

export interface RouteRequest {
  /** Absent: the routes under test must not look. */
  readonly as?: Caller;
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  readonly note?: Call['note'];
  /** Asked for the guard of the route and for what its handler asks; a denial is thrown. */
  readonly require?: Call['require'];
}

/** The body of the answer, as the transport makes it: schemas, guard, handler, and the answer held against its schema. */
export async function sendToRoute(
  routes: readonly Route[],
  method: string,
  path: string,
  { as, body, query = {}, signal, note = () => {}, require = () => {} }: RouteRequest = {},
): Promise<unknown> {
  const { segments } = parseTarget(path, 256);
  const fitting = routes.map((route) => ({
    route,
    given: matchTemplate(parseTemplate(route.path), segments),
  }));
  const found = fitting.find(({ route, given }) => route.method === method && given !== undefined);
  assert.ok(found, `no route for ${method} ${path}`);
  const { route, given = {} } = found;
  const { guard, request = {} } = route;
  const params = (request.params === undefined ? given : request.params.parse(given)) as Call['params'];
  if ('permission' in guard) require(guard.permission, guard.scope({ params }));
  const reply = await route.handle({
    params,
    query: parse(request.query, query) as Call['query'],
    body: parse(request.body as ZodType | undefined, body),
    bytes: new Uint8Array(),
    stream: Readable.from([]),
    headers: {},
    get caller() {
      assert.ok(as, `${method} ${path} asks who calls`);
      return as;
    },
    requestId: 'req_1',
    source: { address: '127.0.0.1', port: 1 },
    signal: signal ?? new AbortController().signal,
    note,
    require,
  });
  return parse(route.response, reply.body);
}

function parse(schema: ZodType | undefined, value: unknown): unknown {
  return schema === undefined ? value : schema.parse(value);
}
