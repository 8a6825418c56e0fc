import type { IncomingHttpHeaders } from 'node:http';
import { httpProblems } from './problems.ts';

/** Headers that decide how a request is read or who sends it: two of one kind are two readings. */
const SINGLE = new Set([
  'authorization',
  'content-encoding',
  'content-length',
  'content-type',
  'expect',
  'host',
  'transfer-encoding',
]);

/** Throws unless the headers can be read in one way. `raw` is Node's flat list of names and values. */
export function checkHeaders(
  raw: readonly string[],
  headers: IncomingHttpHeaders,
  httpVersion: string,
  countMax: number,
): void {
  if (raw.length > countMax * 2) {
    throw httpProblems.headers_too_large(`The request has more than ${countMax} headers.`);
  }
  let seen: string[] | undefined;
  for (let i = 0; i < raw.length; i += 2) {
    const name = (raw[i] as string).toLowerCase();
    if (!SINGLE.has(name)) continue;
    if (seen?.includes(name)) {
      throw httpProblems.bad_headers(`The header ${name} appears more than once.`);
    }
    seen ??= [];
    seen.push(name);
  }
  const coding = headers['transfer-encoding'];
  if (coding !== undefined && coding.toLowerCase() !== 'chunked') {
    throw httpProblems.bad_headers('The only transfer encoding that is understood is chunked.');
  }
  if (coding !== undefined && headers['content-length'] !== undefined) {
    throw httpProblems.bad_headers('Content-Length and Transfer-Encoding exclude each other.');
  }
  if (headers.expect !== undefined && headers.expect.toLowerCase() !== '100-continue') {
    throw httpProblems.expectation_failed('The only expectation that is understood is 100-continue.');
  }
  const { host } = headers;
  if (host === undefined) {
    if (httpVersion !== '1.0') throw httpProblems.bad_host('The Host header is missing.');
  } else if (!isHost(host))
    throw httpProblems.bad_host('The Host header is not a host and an optional port.');
}

const HOST = /^(?:[a-z0-9_](?:[a-z0-9_.-]{0,252})|\[[0-9a-f:.]{2,45}\])(?::([0-9]{1,5}))?$/i;

/** `uri-host [ ":" port ]` of RFC 9110 §7.2, without the percent-encodings and sub-delimiters that no name needs. */
export function isHost(text: string): boolean {
  const match = HOST.exec(text);
  return match !== null && !text.includes('..') && (match[1] === undefined || Number(match[1]) <= 65_535);
}

const BASE: readonly (readonly [name: string, value: string])[] = [
  [
    'content-security-policy',
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  ],
  ['x-content-type-options', 'nosniff'],
  ['x-frame-options', 'DENY'],
  ['referrer-policy', 'no-referrer'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['cache-control', 'no-store'],
];

/** On every answer, whatever the route. */
export function securityHeaders({
  https,
}: {
  https: boolean;
}): readonly (readonly [name: string, value: string])[] {
  return https ? [...BASE, ['strict-transport-security', 'max-age=31536000']] : BASE;
}

const CREDENTIALS = new Set(['authorization', 'cookie', 'proxy-authorization', 'x-api-key', 'api-key']);

/** Header values by lower-case name, credentials removed. */
export function publicHeaders(headers: IncomingHttpHeaders): Readonly<Record<string, string | undefined>> {
  const values = Object.create(null) as Record<string, string | undefined>;
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined && !CREDENTIALS.has(name))
      values[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  return values;
}
