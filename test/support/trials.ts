import type { Route } from '../../src/http/route.ts';
import { sampleOf } from './sample.ts';

/** Limits of the house in which the trials run, small so that a body is soon too large. */
export const TRIAL_LIMITS = { bodyBytesMax: 8_192, streamBytesMax: 65_536 } as const;

/** One request of a trial. */
export interface TrialRequest {
  readonly method: string;
  readonly path: string;
  /** Whose credential it carries: nobody's, that of a principal without rights, of one with every permission. */
  readonly as: 'nobody' | 'powerless' | 'sovereign';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A body of this many bytes is announced and never sent: the answer must come without it. */
  readonly announced?: number;
}

/** One thing that is done to every route, and what it must answer: read from the route table, never from a list. */
export interface Trial {
  /** Head of its column. */
  readonly name: string;
  readonly about: string;
  /** Undefined where the route has nothing that could be tried. */
  request(route: Route, table: readonly Route[]): TrialRequest | undefined;
  /** The statuses that the row of the table promises. */
  expected(route: Route): readonly number[];
}

export const TRIALS: readonly Trial[] = [
  {
    name: 'no credential',
    about: 'without a credential',
    request: (route) => (isPublic(route) ? undefined : wellFormed(route, 'nobody')),
    expected: (route) => [statusOf(route, 401)],
  },
  {
    name: 'no rights',
    about: 'by a principal that has no binding',
    request: (route) => (isPublic(route) ? undefined : wellFormed(route, 'powerless')),
    expected: (route) => [statusOf(route, 403)],
  },
  {
    name: 'unknown',
    about: 'for a resource that is not there, by a principal with every permission',
    request: (route) => (route.path.includes('{') ? wellFormed(route, 'sovereign', ABSENT) : undefined),
    expected: (route) => [statusOf(route, 404)],
  },
  {
    name: 'method',
    about: 'by a method that the path does not take',
    request(route, table) {
      const taken = table.filter(({ path }) => path === route.path).map(({ method }) => method);
      const method = METHODS.find((each) => !taken.includes(each));
      return method === undefined ? undefined : { method, path: pathOf(route), as: 'sovereign' };
    },
    expected: () => [405],
  },
  {
    name: 'too large',
    about: 'with a body that announces one byte more than the limit',
    request(route) {
      const bytesMax = bytesMaxOf(route);
      return bytesMax === undefined ? undefined : withBody(route, { announced: bytesMax + 1 });
    },
    expected: (route) => [statusOf(route, 413)],
  },
  {
    name: 'media type',
    about: 'with a body of a type that the route does not take',
    request(route) {
      const type = mediaTypeOf(route);
      return type === undefined || type === '*/*'
        ? undefined
        : withBody(route, { headers: { 'content-type': 'text/vnd.none' }, body: 'x' });
    },
    expected: (route) => [statusOf(route, 415)],
  },
  {
    name: 'broken',
    about: 'with a body that ends in the middle',
    request: (route) => withBody(route, { body: '{"a":' }),
    expected: (route) => unreadable(route, 400),
  },
  {
    name: 'shape',
    about: 'with a body of another shape than the schema: an empty list',
    request: (route) => withBody(route, { body: '[]' }),
    expected: (route) => unreadable(route, 422),
  },
  {
    name: 'surplus',
    about: 'with a body where none is taken',
    request: (route) =>
      mediaTypeOf(route) === undefined ? { ...wellFormed(route, 'sovereign'), body: 'x' } : undefined,
    expected: (route) => [statusOf(route, 400)],
  },
  {
    name: 'query',
    about: 'with a query parameter that the route does not know',
    request: (route) => withQuery(route, 'no-such-parameter=1'),
    expected: (route) => [statusOf(route, 422)],
  },
  {
    name: 'escape',
    about: 'with a broken escape in the query',
    request: (route) => withQuery(route, 'a=%zz'),
    expected: (route) => [statusOf(route, 400)],
  },
];

const METHODS = ['PUT', 'PATCH', 'DELETE', 'POST', 'GET'] as const;
/** Names that the house of the trials holds; others are `x`. */
/** Texts of the right form; what they name is there only where a trial needs it. */
export const PRESENT: Readonly<Record<string, string>> = {
  project: 'default',
  model: 'polarity',
  version: '1',
  index: '1',
  alert: 'alr_0000000000000000',
  block: 'msr_0000000000000000_0',
  month: '2020-01',
};
const ABSENT: Readonly<Record<string, string>> = {
  ...PRESENT,
  project: 'absent',
  model: 'absent',
  version: '999999',
  index: '999999',
};

/** Where an attempt on `route` must leave an entry: everywhere but on what is counted instead, refusals included. */
export function isRecorded(route: Route, status: number): boolean {
  return typeof route.audit === 'string' || [401, 403, 405].includes(status);
}

function isPublic({ guard }: Route): boolean {
  return 'public' in guard;
}

function pathOf({ path }: Route, names = PRESENT): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name] ?? 'x');
}

/** A protocol may write a failure with another status than ours. */
function statusOf({ failure }: Route, status: number): number {
  return failure?.({ status, code: 'http.trial', detail: '' }).status ?? status;
}

/** A stream is read by its handler, so that its problems say how a bad one is refused. */
function unreadable(route: Route, status: number): readonly number[] {
  if (jsonSchemaOf(route) !== undefined) return [statusOf(route, status)];
  return (route.problems ?? [])
    .filter((problem) => [400, 422].includes(problem.status))
    .map((problem) => statusOf(route, problem.status));
}

function jsonSchemaOf({ request }: Route) {
  const body = request?.body;
  return body === undefined || 'stream' in body ? undefined : body;
}

function mediaTypeOf({ request }: Route): string | undefined {
  const body = request?.body;
  if (body === undefined) return undefined;
  return 'stream' in body ? body.stream : 'application/json';
}

function bytesMaxOf({ request }: Route): number | undefined {
  const body = request?.body;
  if (body === undefined) return undefined;
  if ('stream' in body) return body.bytesMax ?? TRIAL_LIMITS.streamBytesMax;
  return request?.bodyBytesMax ?? TRIAL_LIMITS.bodyBytesMax;
}

/** Nothing is wrong with it but the caller or the names. */
function wellFormed(route: Route, as: TrialRequest['as'], names = PRESENT): TrialRequest {
  const schema = jsonSchemaOf(route);
  const query = route.request?.query;
  const parameters = new URLSearchParams(
    query === undefined ? {} : (sampleOf(query) as Record<string, string>),
  );
  const plain = {
    method: route.method,
    path: `${pathOf(route, names)}${parameters.size === 0 ? '' : `?${parameters.toString()}`}`,
    as,
  };
  if (schema === undefined) return plain;
  return {
    ...plain,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(sampleOf(schema)),
  };
}

function withBody(route: Route, more: Partial<TrialRequest>): TrialRequest | undefined {
  const type = mediaTypeOf(route);
  if (type === undefined) return undefined;
  const headers = { 'content-type': type === '*/*' ? 'application/json' : type };
  return { method: route.method, path: pathOf(route), as: 'sovereign', headers, ...more };
}

function withQuery(route: Route, query: string): TrialRequest | undefined {
  if (route.request?.query === undefined) return undefined;
  return { method: route.method, path: `${pathOf(route)}?${query}`, as: 'sovereign' };
}
