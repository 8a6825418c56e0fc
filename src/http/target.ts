import type { Problem } from '../kernel/problem.ts';
import { httpProblems } from './problems.ts';

/** A request target, decoded once: what is routed, authorised and handled is this and nothing else. */
export interface Target {
  /** `/a/b` gives `['a', 'b']`; `/` gives `[]`. */
  readonly segments: readonly string[];
  /** The text after `?`, still encoded. */
  readonly query: string;
}

// Letters, digits and the punctuation that needs no thought: nearly every target is only this.
const PLAIN_SEGMENT = /^[A-Za-z0-9_:@~-][A-Za-z0-9._:@~-]*$/;
const ENCODED = /%(?![0-9a-fA-F]{2})|%(?:2f|5c|00)/i;
// oxlint-disable-next-line no-control-regex -- control characters are what is refused
const FORBIDDEN = /[\u0000-\u001f\u007f-\u009f\\/#?*]/;

/** Throws `http.bad_path`. The message never quotes the path. */
export function parseTarget(raw: string, segmentCharsMax: number): Target {
  const mark = raw.indexOf('?');
  const path = mark < 0 ? raw : raw.slice(0, mark);
  const query = mark < 0 ? '' : raw.slice(mark + 1);
  // The absolute form (`GET http://host/path`) would let the target name another host than the Host header does.
  if (!path.startsWith('/')) throw bad('it must start with a slash');
  if (raw.includes('#')) throw bad('a fragment does not belong in a request');
  if (path === '/') return { segments: [], query };
  const segments = path.slice(1).split('/');
  for (let i = 0; i < segments.length; i++) {
    segments[i] = parseSegment(segments[i] as string, segmentCharsMax);
  }
  return { segments, query };
}

function parseSegment(raw: string, charsMax: number): string {
  if (raw.length > charsMax * 9) throw bad(`a segment has more than ${charsMax} characters`);
  let segment = raw;
  if (!PLAIN_SEGMENT.test(raw)) {
    if (raw === '') throw bad('it has an empty segment');
    if (ENCODED.test(raw)) throw bad('it has an encoded slash, backslash or NUL, or a broken escape');
    try {
      segment = decodeURIComponent(raw);
    } catch {
      throw bad('it is not valid UTF-8');
    }
    if (segment === '.' || segment === '..') throw bad('it has a dot segment');
    if (FORBIDDEN.test(segment)) throw bad('it has a character that is refused');
    // A second decoding somewhere behind us must find nothing to decode.
    if (segment.includes('%')) throw bad('it is encoded twice');
    if (segment.normalize('NFC') !== segment) throw bad('it is not in Unicode NFC');
  }
  if (segment.length > charsMax) throw bad(`a segment has more than ${charsMax} characters`);
  return segment;
}

const bad = (detail: string): Problem => httpProblems.bad_path(`The path is refused: ${detail}.`);

/** The parameters of a query string, each at most once. Throws `http.bad_query`. */
export function parseQuery(query: string): Record<string, string> {
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  if (query === '') return values;
  for (const pair of query.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decodeQuery(equals < 0 ? pair : pair.slice(0, equals));
    if (name in values) throw httpProblems.bad_query('A query parameter appears twice.');
    values[name] = equals < 0 ? '' : decodeQuery(pair.slice(equals + 1));
  }
  return values;
}

function decodeQuery(raw: string): string {
  try {
    const text = decodeURIComponent(raw.replaceAll('+', ' '));
    if (!text.includes('\0')) return text;
  } catch {
    // Falls through: a broken escape or bad UTF-8.
  }
  throw httpProblems.bad_query('The query string has a broken escape, bad UTF-8 or a NUL.');
}

/** A route template taken apart: `/users/{user}` is `['users', { name: 'user' }]`. */
export type Template = readonly (string | { readonly name: string })[];

export function parseTemplate(path: string): Template {
  if (path === '/') return [];
  return path
    .slice(1)
    .split('/')
    .map((part) => (part.startsWith('{') && part.endsWith('}') ? { name: part.slice(1, -1) } : part));
}

/** The parameters of `segments` under `template`, or undefined if it does not fit. */
export function matchTemplate(
  template: Template,
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (template.length !== segments.length) return undefined;
  const params: Record<string, string> = {};
  for (let i = 0; i < template.length; i++) {
    const part = template[i] as Template[number];
    const segment = segments[i] as string;
    if (typeof part !== 'string') params[part.name] = segment;
    else if (part !== segment) return undefined;
  }
  return params;
}
