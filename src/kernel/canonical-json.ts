/** A JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** JSON text was refused. `offset` counts UTF-16 code units from 0. */
export class JsonError extends Error {
  override readonly name = 'JsonError';
  readonly offset: number;
  constructor(message: string, offset: number) {
    super(`${message} at offset ${offset}`);
    this.offset = offset;
  }
}

/**
 * The one text of a JSON value: keys sorted by UTF-16 code units, no white space, numbers as ECMAScript prints them
 * (RFC 8785). Throws a TypeError on NaN, infinities and lone surrogates.
 */
export function canonicalJson(value: Json): string {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} has no JSON form`);
  if (typeof value === 'string' && !value.isWellFormed())
    throw new TypeError('a lone surrogate has no JSON form');
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const object = value as { readonly [key: string]: Json };
  const members = Object.keys(object)
    .toSorted()
    .map((key) => `${canonicalJson(key)}:${canonicalJson(object[key] as Json)}`);
  return `{${members.join(',')}}`;
}
