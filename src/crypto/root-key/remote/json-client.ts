import http from 'node:http';
import https from 'node:https';
import type { Json } from '../../../kernel/canonical-json.ts';
import { parseStrictJson } from '../../../kernel/strict-json.ts';

export interface JsonRequest {
  readonly method: 'GET' | 'POST';
  /** Below the address; starts with a slash. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Json;
}

export interface JsonResponse {
  readonly status: number;
  /** Seconds of a `retry-after` header. */
  readonly retryAfter: number | undefined;
  /** Undefined for an empty body and for one that is not JSON. */
  readonly body: Json | undefined;
}

export interface JsonClientOptions {
  /** `https://host:port` and perhaps a path. */
  readonly address: string;
  /** PEM; undefined for the certificates that the system trusts. */
  readonly certificates: string | undefined;
  /** For a whole exchange, milliseconds. */
  readonly timeoutMs: number;
}

const BODY_BYTES_MAX = 1024 * 1024;

/**
 * One request, one answer. Not `fetch`, which takes neither certificates of its own nor a bound on the body. Redirects are
 * answers like others: credentials go to the configured address and to no other. Rejects on a network error, a timeout, and a
 * body that is too large.
 */
export function createJsonClient({ address, certificates, timeoutMs }: JsonClientOptions) {
  const base = new URL(address);
  const { request } = base.protocol === 'https:' ? https : http;
  const prefix = base.pathname.replace(/\/$/, '');

  return async ({ method, path, headers, body }: JsonRequest): Promise<JsonResponse> => {
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const outgoing = request(
        {
          protocol: base.protocol,
          hostname: base.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: base.port,
          path: `${prefix}${path}`,
          method,
          headers: {
            ...headers,
            ...(payload && { 'content-type': 'application/json', 'content-length': payload.length }),
          },
          ...(certificates === undefined ? {} : { ca: certificates }),
          agent: false,
          signal,
        },
        resolve,
      );
      outgoing.on('error', reject);
      outgoing.end(payload);
    });
    const bytes = await collect(response);
    const retryAfter = Number(response.headers['retry-after']);
    return {
      status: response.statusCode ?? 0,
      retryAfter: Number.isFinite(retryAfter) ? retryAfter : undefined,
      body: parse(bytes),
    };
  };
}

async function collect(response: http.IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of response as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) throw new RangeError('the answer is too large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

function parse(bytes: Buffer): Json | undefined {
  try {
    return parseStrictJson(bytes, 16);
  } catch {
    return undefined;
  }
}
