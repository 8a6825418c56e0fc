import type { ProblemDocument } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';

/** One request to the management API. */
export interface KeepCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Already escaped: made with `apiPath`. */
  readonly path: string;
  /** Undefined values are left out. */
  readonly query?: Readonly<Record<string, string | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Bytes sent as they come; excludes `body`. */
  readonly stream?: AsyncIterable<Uint8Array>;
  /** Media type of `stream`; default `application/octet-stream`. */
  readonly contentType?: string;
}

/** A keep that answers management requests: behind a URL, behind `run/admin.sock`, or opened in this process. */
export interface KeepClient {
  /** The JSON of a 2xx answer; undefined if it has no body. Throws `ApiFailure` on any other status. */
  request<T>(call: KeepCall): Promise<T>;
  /** The bytes of a 2xx answer as they come. The iteration throws `ApiFailure` on any other status. */
  download(call: KeepCall): AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** What the command line needs from the server room; given by the executable. */
export interface KeepAccess {
  /** Makes a new keep. Refuses a directory that already holds one. */
  initKeep(options: { readonly home: string }): Promise<NewKeep>;
  /** Opens the keep in this process, under its lock. Used when no server runs and none is named. */
  openClient(options: { readonly home: string }): Promise<KeepClient>;
  /** Serves until a signal; resolves with the exit code. */
  serve(options: ServeOptions): Promise<number>;
  /** Makes a demo keep, serves it and shows it; resolves with the exit code. */
  demo(options: DemoOptions): Promise<number>;
}

export interface NewKeep {
  readonly home: string;
  /** Makes the first administrator, once. */
  readonly setupToken: Secret<string>;
  /** When `setupToken` stops working, milliseconds since 1970 UTC. */
  readonly setupTokenExpiresAt?: number;
  /** age recipient (`age1…`) of the root key. */
  readonly recipient: string;
  /** What of the root key needs a copy elsewhere, in words. */
  readonly rootKeyCopy: string;
  /** The log's verifier key, as in `log/vkey`. */
  readonly verifierKey?: string;
}

export interface ServeOptions {
  readonly home: string;
  /** Configuration keys given as flags, by their path in `modelkeep.yaml`: they win over environment and file. */
  readonly flags: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export interface DemoOptions {
  /** Undefined: a new directory, whose path is printed. */
  readonly home: string | undefined;
  /** End after the tour instead of serving on. */
  readonly exit: boolean;
  /** Port of the demo server; undefined: the default one, or any free one when that is taken. */
  readonly port: number | undefined;
  readonly signal: AbortSignal;
}

/** The keep answered, and the answer was no. */
export class ApiFailure extends Error {
  override readonly name = 'ApiFailure';
  readonly status: number;
  readonly problem: Partial<ProblemDocument>;

  constructor(status: number, problem: Partial<ProblemDocument>) {
    super(problem.detail ?? problem.title ?? `the server answered with status ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

/** `` apiPath`/api/v1/users/${name}` `` with every value escaped as one path segment. */
export function apiPath(parts: TemplateStringsArray, ...values: readonly (string | number)[]): string {
  return parts.reduce(
    (path, part, index) => `${path}${encodeURIComponent(String(values[index - 1]))}${part}`,
  );
}
