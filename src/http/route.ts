import type { Readable } from 'node:stream';
import type { ZodType } from 'zod';
import type { Caller } from '../kernel/principal.ts';
import type { ProblemDefinition } from '../kernel/problem.ts';

/**
 * One row of the route table: from it come the router, the guard, the audit entry, OpenAPI and the HTTP reference.
 * Forgetting the guard or the audit name does not compile.
 */
export interface Route<Permission extends string = string> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path template, `/api/v1/users/{user}`: `{name}` is one whole segment. */
  readonly path: string;
  readonly guard: Guard<Permission>;
  /** What the entry of an attempt is called: `user.create`. `none` only for operations that are counted instead. */
  readonly audit: string | { readonly none: string };
  /**
   * `effect`: it changes state, so an entry of phase start is durable before `handle` runs and one of phase end after.
   * Default: everything but GET is an effect; a prediction sets `read`.
   */
  readonly kind?: 'read' | 'effect';
  readonly summary: string;
  readonly tag: string;
  readonly request?: RequestShape;
  /** The JSON form of a 2xx answer; absent for answers without a body or that are not JSON. */
  readonly response?: ZodType;
  /** Success status; default 200. */
  readonly status?: number;
  readonly problems?: readonly ProblemDefinition[];
  /** How failures are written; default RFC 9457. A protocol brings its own form. */
  readonly failure?: FailureForm;
  handle(call: Call): Promise<Reply> | Reply;
}

export type Guard<Permission extends string = string> =
  | { readonly permission: Permission; readonly scope: ScopeOf }
  /** Any authenticated caller: what it may see or do is its own. */
  | { readonly authenticated: string }
  /** No credential needed; the text says why. */
  | { readonly public: string };

/** The resource that a request names, as a path of the resource tree: `/projects/fraud/models/score`. */
export type ScopeOf = (request: { readonly params: Readonly<Record<string, string>> }) => string;

export const root: ScopeOf = () => '/';

export interface RequestShape {
  readonly params?: ZodType;
  readonly query?: ZodType;
  /** A JSON body, parsed strictly, then by this schema. `stream`: bytes as they come, limited by `bytesMax`. */
  readonly body?: ZodType | { readonly stream: string; readonly bytesMax?: number };
  /** Largest JSON body of this route; default: the server's limit. */
  readonly bodyBytesMax?: number;
}

/** A request that passed the guard. `params`, `query` and `body` are what the schemas made of them. */
export interface Call {
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  /** The parsed JSON body, or undefined if the route takes none or takes a stream. */
  readonly body: unknown;
  /** The exact bytes of a JSON body, for digests. Empty if there was none. */
  readonly bytes: Uint8Array;
  /** The body of a route that takes a stream. */
  readonly stream: Readable;
  /** Header values by lower-case name, credentials removed. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Throws unless the route is public or the caller is known; public routes ask `caller` instead. */
  readonly caller: Caller;
  readonly requestId: string;
  readonly source: { readonly address: string; readonly port: number };
  /** Aborted when the client has gone or the server's deadline has passed. */
  readonly signal: AbortSignal;
  /** Facts for the entry of this attempt, beyond what the route table knows. */
  note(facts: AuditFacts): void;
  /** A second decision inside a handler, on a resource that only the body names. Throws `access.denied`. */
  require(permission: string, scope: string): void;
}

/** Allow-listed: nothing else can reach an entry. Never a secret, never a raw input. */
export interface AuditFacts {
  /** Path of the resource that was acted on, when the route's own scope is wider. */
  readonly resource?: string;
  readonly model?: { readonly version: string; readonly digest: string };
  /** Commitments to the bytes received and sent: the hashes, hex, are recorded; the nonces, base64, only answered. */
  readonly input?: { readonly hash: string; readonly nonce: string };
  readonly output?: { readonly hash: string; readonly nonce: string };
  /** Small public facts: ids and names, `{ role: 'auditor', subject: 'usr_…' }`. */
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** A JSON value, or bytes or text with their `content-type` in `headers`. */
  readonly body?: unknown;
}

/** How a protocol writes a failure: the Problem comes in, status and body go out. */
export type FailureForm = (problem: {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}) => {
  readonly status: number;
  readonly contentType: string;
  readonly body: unknown;
};
