import { type ZodType, z } from 'zod';
import type { ProblemDefinition } from '../kernel/problem.ts';
import { httpProblems } from './problems.ts';
import type { Route } from './route.ts';

export interface OpenApiInfo {
  readonly title: string;
  readonly version: string;
}

type JsonObject = { [key: string]: unknown };

/** The OpenAPI 3.1 document of a route table. It says what the server does because the server is made of the same rows. */
export function createOpenApi(routes: readonly Route[], info: OpenApiInfo): JsonObject {
  const paths: { [path: string]: JsonObject } = {};
  for (const route of routes) {
    paths[route.path] ??= {};
    (paths[route.path] as JsonObject)[route.method.toLowerCase()] = operationOf(route);
  }
  const tags = [...new Set(routes.map(({ tag }) => tag))].toSorted().map((name) => ({ name }));
  return {
    openapi: '3.1.0',
    jsonSchemaDialect: 'https://json-schema.org/draft/2020-12/schema',
    info: { ...info, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    tags,
    paths,
    components: {
      securitySchemes: {
        basic: {
          type: 'http',
          scheme: 'basic',
          description: 'User and password, or service account and API key.',
        },
        bearer: { type: 'http', scheme: 'bearer', description: 'An API key.' },
      },
      schemas: { Problem: PROBLEM },
    },
  };
}

/** RFC 9457, with the members that this server always adds. */
const PROBLEM: JsonObject = {
  type: 'object',
  required: ['type', 'title', 'status', 'detail', 'code'],
  properties: {
    type: { type: 'string', format: 'uri-reference' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string' },
    requestId: { type: 'string' },
  },
};

function operationOf(route: Route): JsonObject {
  const { guard, request, tag, summary } = route;
  const body = bodyOf(request?.body);
  return {
    operationId: operationId(route),
    summary,
    tags: [tag],
    description: describeGuard(guard),
    ...('permission' in guard && { 'x-permission': guard.permission }),
    security: 'public' in guard ? [] : [{ basic: [] }, { bearer: [] }],
    parameters: [...pathParameters(route), ...queryParameters(request?.query)],
    ...(body !== undefined && { requestBody: body }),
    responses: responsesOf(route),
  };
}

function describeGuard(guard: Route['guard']): string {
  if ('permission' in guard) return `Needs the permission \`${guard.permission}\`.`;
  return 'public' in guard
    ? `Needs no credential: ${guard.public}`
    : `Needs any credential: ${guard.authenticated}`;
}

function operationId({ method, path }: Route): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== '');
  return [method.toLowerCase(), ...words].join('_');
}

function pathParameters(route: Route): JsonObject[] {
  const shape =
    route.request?.params && (schemaOf(route.request.params)['properties'] as JsonObject | undefined);
  return [...route.path.matchAll(/\{([^}]*)\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: shape?.[name] ?? { type: 'string' },
  }));
}

function queryParameters(query: ZodType | undefined): JsonObject[] {
  if (query === undefined) return [];
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: JsonObject;
    required?: string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function bodyOf(body: NonNullable<Route['request']>['body']): JsonObject | undefined {
  if (body === undefined) return undefined;
  if ('stream' in body && typeof body.stream === 'string')
    return { required: true, content: { [body.stream]: {} } };
  const schema = body as ZodType;
  return {
    required: !schema.safeParse(undefined).success,
    content: { 'application/json': { schema: schemaOf(schema) } },
  };
}

function responsesOf(route: Route): JsonObject {
  const success = String(route.status ?? 200);
  const responses: JsonObject = {
    [success]: {
      description: 'Success.',
      headers: responseHeaders(route),
      ...(route.response && {
        content: { 'application/json': { schema: schemaOf(route.response, 'output') } },
      }),
    },
  };
  const byStatus = Map.groupBy(problemsOf(route), ({ status }) => String(status));
  for (const [status, problems] of byStatus) {
    responses[status] ??= {
      description: problems.map(({ code, title }) => `\`${code}\`: ${title}.`).join(' '),
      ...(route.failure === undefined && {
        content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
      }),
    };
  }
  return responses;
}

/** A refusal of the guard is made by rooms that the transport does not know; its statuses are known all the same. */
const UNAUTHENTICATED = { code: 'identity.*', status: 401, title: 'No valid credential' };
const DENIED = { code: 'access.denied', status: 403, title: 'The caller lacks the permission at this scope' };

function problemsOf(route: Route): Pick<ProblemDefinition, 'code' | 'status' | 'title'>[] {
  const body = route.request?.body;
  const checked = route.request?.params ?? route.request?.query ?? body;
  const seen = new Map<string, Pick<ProblemDefinition, 'code' | 'status' | 'title'>>();
  for (const problem of [
    httpProblems.bad_path,
    ...(route.request?.query ? [httpProblems.bad_query] : []),
    ...('public' in route.guard ? [] : [UNAUTHENTICATED]),
    ...('permission' in route.guard ? [DENIED] : []),
    ...(body && !('stream' in body) ? [httpProblems.malformed_json] : []),
    ...(body
      ? [httpProblems.slow_request, httpProblems.body_too_large, httpProblems.unsupported_media_type]
      : []),
    ...(checked ? [httpProblems.invalid] : []),
    ...(route.problems ?? []),
    httpProblems.internal,
    ...(typeof route.audit === 'string' ? [httpProblems.unrecorded] : []),
  ]) {
    seen.set(problem.code, problem);
  }
  return [...seen.values()];
}

function responseHeaders({ audit }: Route): JsonObject {
  const text = (description: string): JsonObject => ({ description, schema: { type: 'string' } });
  return {
    'x-request-id': text('Names this request in the audit log and in the operator log.'),
    ...(typeof audit === 'string' && {
      'audit-index': text('Where the entry of this request stands in the log.'),
      'audit-leaf': text('RFC 6962 leaf hash of that entry, base64.'),
      'audit-nonce': text(
        'Nonces of the commitments to the bytes received and sent, base64, with a comma between. Only predictions.',
      ),
    }),
  };
}

function schemaOf(schema: ZodType, io: 'input' | 'output' = 'input'): JsonObject {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' }) as JsonObject;
  return rest;
}
