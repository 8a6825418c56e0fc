import { type ServerResponse, validateHeaderName, validateHeaderValue } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Problem } from '../kernel/problem.ts';
import type { FailureForm, Reply } from './route.ts';

/** What will be sent, ready before the attempt is recorded: nothing that can fail is left for after. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | string | AsyncIterable<unknown> | undefined;
}

/** Throws a TypeError if the reply cannot be sent: that is a failure of the handler. */
export function answerOf(reply: Reply, statusDefault: number): Answer {
  const status = reply.status ?? statusDefault;
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(reply.headers ?? {})) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    headers[name.toLowerCase()] = value;
  }
  const { body } = reply;
  if (body === undefined) return { status, headers, body: undefined };
  if (
    body instanceof Uint8Array ||
    isStream(body) ||
    (typeof body === 'string' && 'content-type' in headers)
  ) {
    headers['content-type'] ??= 'application/octet-stream';
    return { status, headers, body };
  }
  const text = JSON.stringify(body) as string | undefined;
  if (text === undefined) throw new TypeError('the reply has no JSON form');
  headers['content-type'] ??= 'application/json';
  return { status, headers, body: text };
}

/** A failure in RFC 9457 form, or in the form that the route's protocol brings. */
export function answerToProblem(problem: Problem, requestId: string, form?: FailureForm): Answer {
  const extra = Object.fromEntries(
    Object.entries(problem.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  if (form !== undefined) {
    const { status, contentType, body } = form({
      status: problem.status,
      code: problem.code,
      detail: problem.detail,
    });
    return { status, headers: { ...extra, 'content-type': contentType }, body: bytesOf(body) };
  }
  return {
    status: problem.status,
    headers: { ...extra, 'content-type': 'application/problem+json' },
    body: JSON.stringify({ ...problem.toJSON(), requestId }),
  };
}

/** Frees what a reply holds when it is not going to be sent. */
export function discard(answer: Answer): void {
  if (answer.body instanceof Readable) answer.body.on('error', () => {}).destroy();
}

/** Resolves when the answer has been handed to the connection, rejects when a streamed body or the client fails. */
export async function sendAnswer(
  response: ServerResponse,
  { status, body }: Answer,
  headers: Record<string, string>,
  head: boolean,
): Promise<void> {
  if (body === undefined) {
    if (status !== 204 && status !== 304) headers['content-length'] = '0';
    response.writeHead(status, headers).end();
    return;
  }
  if (typeof body === 'string' || body instanceof Uint8Array) {
    headers['content-length'] = String(typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength);
    response.writeHead(status, headers).end(head ? undefined : body);
    return;
  }
  response.writeHead(status, headers);
  if (head) {
    if (body instanceof Readable) body.destroy();
    response.end();
    return;
  }
  await pipeline(body, response);
}

function bytesOf(body: unknown): Uint8Array | string | undefined {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return body;
  return JSON.stringify(body);
}

/** Claims that a body comes piece by piece. */
export function isStream(body: unknown): body is AsyncIterable<unknown> {
  return typeof body === 'object' && body !== null && Symbol.asyncIterator in body;
}
