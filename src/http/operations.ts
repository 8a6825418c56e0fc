import type { Registry } from 'prom-client';
import { z } from 'zod';
import type { ProblemDefinition } from '../kernel/problem.ts';
import { createOpenApi, type OpenApiInfo } from './openapi.ts';
import { httpProblems } from './problems.ts';
import { type Guard, type Route, root } from './route.ts';

export interface OperationsDeps {
  /** Every other route of the server. */
  readonly routes: readonly Route[];
  /** Every table of failures, this room's included. */
  readonly problems: readonly ProblemDefinition[];
  readonly readiness: () => Readiness;
  readonly registry: Registry;
  /** True only if the operator said so: counters tell a stranger who is used how much. */
  readonly metricsPublic: boolean;
  readonly info: OpenApiInfo;
}

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in words fit for a stranger: no paths, no names. */
  readonly reasons: readonly string[];
}

const readiness = z.object({ ready: z.boolean(), reasons: z.array(z.string()) });
const problemPage = z.object({ code: z.string(), status: z.int(), title: z.string(), help: z.string() });
const UNAUDITED = { none: 'an operation of the machine, asked every few seconds; it is counted' };

/** What the server says of itself: health, metrics, its description, and what its problem codes mean. */
export function createOperationsRoutes(deps: OperationsDeps): readonly Route<'system.metrics'>[] {
  const { registry } = deps;
  const problems = new Map(
    deps.problems.map(({ code, status, title, help }) => [code, { code, status, title, help }]),
  );
  const metricsGuard: Guard<'system.metrics'> = deps.metricsPublic
    ? { public: 'the operator set metrics.public' }
    : { permission: 'system.metrics', scope: root };
  let openapi: string | undefined;

  const own: readonly Route<'system.metrics'>[] = [
    {
      method: 'GET',
      path: '/livez',
      guard: { public: 'a supervisor asks whether the process answers' },
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'Say that the process answers',
      response: z.object({ live: z.literal(true) }),
      handle: () => ({ body: { live: true } }),
    },
    {
      method: 'GET',
      path: '/readyz',
      guard: { public: 'a load balancer asks whether to send requests here' },
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'Say whether requests should be sent here; 503 if not',
      response: readiness,
      handle: () => {
        const state = deps.readiness();
        return { status: state.ready ? 200 : 503, body: state };
      },
    },
    {
      method: 'GET',
      path: '/metrics',
      guard: metricsGuard,
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'Metrics in the Prometheus text format',
      handle: async () => ({
        headers: { 'content-type': registry.contentType },
        body: await registry.metrics(),
      }),
    },
    {
      method: 'GET',
      path: '/openapi.json',
      guard: { public: 'the API is that of the published source' },
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'This API as an OpenAPI 3.1 document',
      handle: () => {
        openapi ??= JSON.stringify(createOpenApi([...deps.routes, ...own], deps.info));
        return { headers: { 'content-type': 'application/json' }, body: openapi };
      },
    },
    {
      method: 'GET',
      path: '/problems',
      guard: { public: 'the codes are those of the published source' },
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'List every problem code',
      response: z.array(problemPage),
      handle: ({ headers }) =>
        wantsMarkdown(headers['accept'])
          ? markdown(
              [...problems.values()]
                .map(({ code, title }) => `- [${code}](/problems/${code}): ${title}`)
                .join('\n'),
            )
          : { body: [...problems.values()] },
    },
    {
      method: 'GET',
      path: '/problems/{code}',
      guard: { public: 'whoever was refused may read what the code means' },
      audit: UNAUDITED,
      tag: 'operations',
      summary: 'Say what a problem code means and what to do',
      response: problemPage,
      problems: [httpProblems.not_found],
      handle: ({ params, headers }) => {
        const page = problems.get(params['code'] ?? '');
        if (page === undefined) throw httpProblems.not_found('There is no problem with this code.');
        if (!wantsMarkdown(headers['accept'])) return { body: page };
        return markdown(`# ${page.title}\n\n\`${page.code}\`, HTTP status ${page.status}\n\n${page.help}`);
      },
    },
  ];
  return own;
}

const wantsMarkdown = (accept: string | undefined): boolean =>
  /\btext\/(?:markdown|plain)\b/.test(accept ?? '');

const markdown = (text: string) => ({
  headers: { 'content-type': 'text/markdown; charset=utf-8' },
  body: `${text}\n`,
});
