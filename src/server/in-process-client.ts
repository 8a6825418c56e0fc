import { Readable } from 'node:stream';
import { ApiFailure, type KeepCall, type KeepClient } from '../cli/keep-client.ts';
import type { HttpServer, InjectedReply } from '../http/server.ts';
import type { ProblemDocument } from '../kernel/problem.ts';

/** Sends requests to a route table in this process; `close` also closes what lies behind it. */
export function createInProcessClient(
  server: Pick<HttpServer, 'inject'>,
  close: () => Promise<void>,
): KeepClient {
  const exchange = async (call: KeepCall): Promise<InjectedReply> => {
    const query = new URLSearchParams();
    for (const [name, value] of Object.entries(call.query ?? {}))
      if (value !== undefined) query.set(name, value);
    const reply = await server.inject({
      method: call.method,
      url: query.size === 0 ? call.path : `${call.path}?${query.toString()}`,
      ...contentOf(call),
    });
    if (reply.status >= 200 && reply.status < 300) return reply;
    throw new ApiFailure(reply.status, problemIn(await reply.bytes()));
  };
  return {
    async request<T>(call: KeepCall): Promise<T> {
      const bytes = await (await exchange(call)).bytes();
      return (bytes.length === 0 ? undefined : JSON.parse(Buffer.from(bytes).toString())) as T;
    },
    async *download(call) {
      yield* (await exchange(call)).stream as AsyncIterable<Uint8Array>;
    },
    close,
  };
}

function contentOf(call: KeepCall): { headers?: Record<string, string>; body?: string | Readable } {
  if (call.stream !== undefined) {
    const type = call.contentType ?? 'application/octet-stream';
    return { headers: { 'content-type': type }, body: Readable.from(call.stream, { objectMode: false }) };
  }
  if (call.body === undefined) return {};
  return { headers: { 'content-type': 'application/json' }, body: JSON.stringify(call.body) };
}

function problemIn(bytes: Uint8Array): Partial<ProblemDocument> {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString());
  if (typeof value !== 'object' || value === null) return {};
  const { error } = value as { error?: unknown };
  return typeof error === 'string' ? { ...value, detail: error } : value;
}
