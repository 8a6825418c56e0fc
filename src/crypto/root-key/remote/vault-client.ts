import type { Clock } from '../../../kernel/clock.ts';
import type { Json } from '../../../kernel/canonical-json.ts';
import type { Problem } from '../../../kernel/problem.ts';
import { Secret } from '../../../kernel/secret.ts';
import { cryptoProblems } from '../../problems.ts';
import { createJsonClient, type JsonResponse } from './json-client.ts';

/** How to log in. Secrets are read when they are needed, so that a file that an agent renews is read anew. */
export type VaultLogin =
  | { readonly kind: 'token'; readonly token: () => Secret<string> }
  | {
      readonly kind: 'approle';
      readonly mount: string;
      readonly roleId: string;
      readonly secretId: () => Secret<string>;
    }
  | {
      readonly kind: 'kubernetes';
      readonly mount: string;
      readonly role: string;
      readonly jwt: () => Promise<Secret<string>>;
    };

export interface VaultClientOptions {
  readonly address: string;
  readonly namespace: string | undefined;
  readonly login: VaultLogin;
  /** PEM. Read when the first request is sent. */
  readonly certificates: () => Promise<string | undefined>;
  readonly timeoutMs: number;
  readonly retriesMax: number;
  readonly clock: Clock;
  readonly wait: (ms: number) => Promise<void>;
}

export interface VaultClient {
  /**
   * The `data` of the answer. Throws `crypto.root_key_unreachable` after the last attempt, `crypto.root_key_refused` when the
   * service says no. Errors of the service go into the cause, for the operator alone.
   */
  post(path: string, body: Json): Promise<Readonly<Record<string, Json>>>;
  close(): Promise<void>;
}

interface Session {
  readonly token: Secret<string>;
  /** Monotonic milliseconds. */
  readonly validUntil: number;
}

/** Rate limit, not yet replicated, not initialised, gateway, sealed or in maintenance. */
const RETRIED: ReadonlySet<number> = new Set([412, 429, 500, 501, 502, 503, 504]);
const WAIT_MS = 250;
const WAIT_MS_MAX = 8_000;

/** A client for the few calls that a root key needs of the HTTP API of Vault and OpenBao. */
export function createVaultClient(options: VaultClientOptions): VaultClient {
  const { login, clock, wait, retriesMax } = options;
  let client: ReturnType<typeof createJsonClient> | undefined;
  let session: Session | undefined;
  const common = {
    'x-vault-request': 'true',
    ...(options.namespace === undefined ? {} : { 'x-vault-namespace': options.namespace }),
  };

  const connect = async (): Promise<void> => {
    const { address, timeoutMs } = options;
    client ??= createJsonClient({ address, timeoutMs, certificates: await options.certificates() });
  };

  const send = (path: string, body: Json, token?: Secret<string>): Promise<JsonResponse> => {
    if (client === undefined) throw new TypeError('not connected');
    const headers = token === undefined ? common : { ...common, 'x-vault-token': token.reveal() };
    return client({ method: 'POST', path: `/v1/${path}`, headers, body });
  };

  /** The answer, once it is one that another attempt would not change. */
  const insist = async (path: string, body: Json, token?: Secret<string>): Promise<JsonResponse> => {
    for (let attempt = 0; ; attempt++) {
      let failure: unknown;
      let retryAfter: number | undefined;
      try {
        const response = await send(path, body, token);
        if (!RETRIED.has(response.status)) return response;
        failure = new Error(`status ${response.status}: ${errorsOf(response)}`);
        retryAfter = response.retryAfter;
      } catch (error) {
        failure = error;
      }
      if (attempt === retriesMax) {
        throw cryptoProblems.root_key_unreachable(
          `Vault at ${options.address} does not serve (${hint(failure)})`,
          {
            cause: failure,
          },
        );
      }
      const pause = retryAfter === undefined ? WAIT_MS * 2 ** attempt : retryAfter * 1000;
      await wait(Math.min(pause, WAIT_MS_MAX));
    }
  };

  const authenticate = async (): Promise<Secret<string>> => {
    if (login.kind === 'token') return headerValue(login.token());
    if (session !== undefined && clock.monotonic() < session.validUntil) return session.token;
    const body =
      login.kind === 'approle'
        ? { role_id: login.roleId, secret_id: login.secretId().reveal() }
        : { role: login.role, jwt: (await login.jwt()).reveal() };
    const response = await insist(`auth/${login.mount}/login`, body);
    const auth = member(response.body, 'auth');
    const token = member(auth, 'client_token');
    if (response.status !== 200 || typeof token !== 'string') throw refused('the login', response);
    const seconds = member(auth, 'lease_duration');
    session = {
      token: headerValue(new Secret(token)),
      // Zero is a token that does not expire.
      validUntil:
        typeof seconds === 'number' && seconds > 0 ? clock.monotonic() + seconds * 1000 * (2 / 3) : Infinity,
    };
    return session.token;
  };

  const refused = (what: string, response: JsonResponse): Problem =>
    cryptoProblems.root_key_refused(
      `Vault at ${options.address} refused ${what} (status ${response.status})`,
      {
        cause: new Error(errorsOf(response)),
      },
    );

  return {
    async post(path, body) {
      await connect();
      let response = await insist(path, body, await authenticate());
      if (response.status === 403 && login.kind !== 'token') {
        // The token of the last login may have been revoked before its time.
        session = undefined;
        response = await insist(path, body, await authenticate());
      }
      const data = member(response.body, 'data');
      if (response.status !== 200 || !isObject(data)) throw refused(path, response);
      return data;
    },
    async close() {
      const token = session?.token;
      session = undefined;
      // A token left behind expires by itself.
      if (token !== undefined) await send('auth/token/revoke-self', {}, token).catch(() => {});
    },
  };
}

function headerValue(token: Secret<string>): Secret<string> {
  // node:http would quote a value that cannot be a header.
  if (/^[\x21-\x7e]+$/.test(token.reveal())) return token;
  throw cryptoProblems.root_key_refused('the Vault token has a character that no token has');
}

function errorsOf({ body }: JsonResponse): string {
  const errors = member(body, 'errors');
  return Array.isArray(errors) ? errors.map(String).join('; ').slice(0, 500) : 'no reason given';
}

/** What of a failure may be shown: the code of a network error, or a status. */
function hint(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  if ('code' in error && typeof error.code === 'string') return error.code;
  return /^status [0-9]+/.exec(error.message)?.[0] ?? error.name;
}

function isObject(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function member(value: Json | undefined, name: string): Json | undefined {
  return isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}
