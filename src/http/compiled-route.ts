import type { ZodType } from 'zod';
import type { FailureForm, RequestShape, Route, ScopeOf } from './route.ts';
import { parseTemplate, type Template } from './target.ts';

/** A row of the route table, taken apart once so that a request need not. */
export interface CompiledRoute {
  readonly route: Route;
  readonly template: Template;
  /** The name of its entries. */
  readonly action: string;
  /** False: only refusals of the guard are recorded. */
  readonly audited: boolean;
  readonly effect: boolean;
  readonly guard:
    | { readonly kind: 'permission'; readonly permission: string; readonly scope: ScopeOf }
    | { readonly kind: 'authenticated' | 'public' };
  readonly body:
    | { readonly kind: 'none' }
    | { readonly kind: 'json'; readonly schema: ZodType; readonly bytesMax: number | undefined }
    | { readonly kind: 'stream'; readonly mediaType: string; readonly bytesMax: number | undefined };
  readonly params: ZodType | undefined;
  readonly query: ZodType | undefined;
  readonly failure: FailureForm | undefined;
}

const TEMPLATE = /^\/$|^(?:\/(?:[A-Za-z0-9._:-]+|\{[a-zA-Z][a-zA-Z0-9]*\}))+$/;

/** Throws a TypeError on a row that cannot be served safely: a mistake of ours, found at start. */
export function compileRoute(route: Route): CompiledRoute {
  const name = `${route.method} ${route.path}`;
  const { guard, request } = route;
  if (!TEMPLATE.test(route.path)) throw new TypeError(`${name}: not a path template`);
  const effect = (route.kind ?? (route.method === 'GET' ? 'read' : 'effect')) === 'effect';
  const audited = typeof route.audit === 'string';
  if (effect && !audited) throw new TypeError(`${name}: an effect must be audited`);
  if (effect && route.method === 'GET') throw new TypeError(`${name}: a GET has no effect`);
  const body = compileBody(request);
  if (body.kind !== 'none' && route.method === 'GET') throw new TypeError(`${name}: a GET takes no body`);
  return {
    route,
    template: parseTemplate(route.path),
    action:
      typeof route.audit === 'string'
        ? route.audit
        : 'permission' in guard
          ? guard.permission
          : 'http.unaudited',
    audited,
    effect,
    guard: compileGuard(route),
    body,
    params: request?.params,
    query: request?.query,
    failure: route.failure,
  };
}

/** The whole table. Throws a TypeError if two rows answer the same method and shape of path. */
export function compileRoutes(routes: readonly Route[]): readonly CompiledRoute[] {
  const taken = new Set<string>();
  for (const { method, path } of routes) {
    const shape = `${method} ${path.replaceAll(/\{[^}]*\}/g, '{}')}`;
    if (taken.has(shape)) throw new TypeError(`${method} ${path}: the route table has it twice`);
    taken.add(shape);
  }
  return routes.map(compileRoute);
}

function compileGuard({ method, path, guard }: Route): CompiledRoute['guard'] {
  // Types say that one of the three is there; a table built at run time may still lack it, and then nothing starts.
  if ('permission' in guard && guard.permission !== '' && typeof guard.scope === 'function') {
    return { kind: 'permission', permission: guard.permission, scope: guard.scope };
  }
  if ('authenticated' in guard && guard.authenticated !== '') return { kind: 'authenticated' };
  if ('public' in guard && guard.public !== '') return { kind: 'public' };
  throw new TypeError(`${method} ${path}: a route needs a guard`);
}

function compileBody({ body, bodyBytesMax }: RequestShape = {}): CompiledRoute['body'] {
  if (body === undefined) return { kind: 'none' };
  if ('stream' in body && typeof body.stream === 'string') {
    return { kind: 'stream', mediaType: body.stream.toLowerCase(), bytesMax: body.bytesMax };
  }
  return { kind: 'json', schema: body as ZodType, bytesMax: bodyBytesMax };
}
