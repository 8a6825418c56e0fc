import { isUtf8 } from 'node:buffer';
import { type Json, JsonError } from './canonical-json.ts';

/** Default bound on nesting: arrays and objects together. */
export const JSON_DEPTH_MAX = 64;

/**
 * The JSON value in `bytes`, or a JsonError that says where the text stops being acceptable. Stricter than RFC 8259
 * where readers are known to differ (RFC 7493, I-JSON): UTF-8 only and no byte order mark, no duplicate keys, no lone
 * surrogates, no number beyond the range of a double. A `__proto__` key is refused, as is nesting beyond `depthMax`.
 * The message never quotes the text.
 */
export function parseStrictJson(bytes: Uint8Array, depthMax: number = JSON_DEPTH_MAX): Json {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  if (!isUtf8(bytes)) throw new JsonError('not valid UTF-8', offsetOfBadUtf8(bytes, text));
  return parseStrictJsonText(text, depthMax);
}

/** The same for text that is already decoded. */
export function parseStrictJsonText(text: string, depthMax: number = JSON_DEPTH_MAX): Json {
  // JSON.parse is several times faster than any scanner in JavaScript, so it makes the value; one pass over the text
  // and one over the value find what it lets through. Whatever they disagree on goes to `refuse`, which is exact.
  const colons = countColons(text, depthMax);
  if (colons < 0) return refuse(text, depthMax);
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return refuse(text, depthMax);
  }
  // JSON.parse keeps the last of two equal keys, so a value with fewer keys than the text had colons lost one.
  const keys = countKeys(value, text.includes('\\u'));
  return keys === colons ? value : refuse(text, depthMax);
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;

/** Colons outside strings, or -1 if the text nests deeper than `depthMax`. Says nothing about the grammar. */
function countColons(text: string, depthMax: number): number {
  let colons = 0;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) {
      for (i++; i < text.length; i++) {
        const inside = text.charCodeAt(i);
        if (inside === QUOTE) break;
        if (inside === BACKSLASH) i++;
      }
    } else if (code === COLON) colons++;
    else if (code === 0x5b || code === 0x7b) {
      if (++depth > depthMax) return -1;
    } else if (code === 0x5d || code === 0x7d) depth--;
  }
  return colons;
}

/** Keys in a value, or NaN if it holds something that is refused. Depth is bounded by then. */
function countKeys(value: Json, mayHoldSurrogates: boolean): number {
  if (typeof value === 'string') return mayHoldSurrogates && !value.isWellFormed() ? Number.NaN : 0;
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN;
  if (value === null || typeof value !== 'object') return 0;
  let keys = 0;
  if (Array.isArray(value)) {
    for (const item of value) {
      if (typeof item !== 'number') keys += countKeys(item, mayHoldSurrogates);
      else if (!Number.isFinite(item)) return Number.NaN;
    }
    return keys;
  }
  const object = value as { readonly [key: string]: Json };
  for (const key in object) {
    if (key === '__proto__' || (mayHoldSurrogates && !key.isWellFormed())) return Number.NaN;
    keys += 1 + countKeys(object[key] as Json, mayHoldSurrogates);
  }
  return keys;
}

/** Reads the text again by the grammar, slowly, for the sake of the first offence and its offset. */
function refuse(text: string, depthMax: number): never {
  const end = readValue(text, skipSpace(text, 0), depthMax);
  const rest = skipSpace(text, end);
  throw new JsonError(rest < text.length ? 'data after the end of the value' : 'not acceptable JSON', rest);
}

function readValue(text: string, at: number, depthLeft: number): number {
  const char = text[at];
  if (char === '{' || char === '[') {
    if (depthLeft === 0) throw new JsonError('nested too deeply', at);
    return char === '{' ? readObject(text, at, depthLeft - 1) : readArray(text, at, depthLeft - 1);
  }
  if (char === '"') return readString(text, at);
  for (const literal of ['true', 'false', 'null'])
    if (text.startsWith(literal, at)) return at + literal.length;
  return readNumber(text, at);
}

function readObject(text: string, start: number, depthLeft: number): number {
  const keys = new Set<string>();
  let at = skipSpace(text, start + 1);
  if (text[at] === '}') return at + 1;
  for (;;) {
    if (text[at] !== '"') throw unexpected(text, at, 'a key');
    const afterKey = readString(text, at);
    const key = JSON.parse(text.slice(at, afterKey)) as string;
    if (key === '__proto__') throw new JsonError('the key __proto__ is refused', at);
    if (keys.has(key)) throw new JsonError('a key appears twice in one object', at);
    keys.add(key);
    at = skipSpace(text, afterKey);
    if (text[at] !== ':') throw unexpected(text, at, 'a colon');
    at = skipSpace(text, readValue(text, skipSpace(text, at + 1), depthLeft));
    if (text[at] === '}') return at + 1;
    if (text[at] !== ',') throw unexpected(text, at, 'a comma or the end of the object');
    at = skipSpace(text, at + 1);
  }
}

function readArray(text: string, start: number, depthLeft: number): number {
  let at = skipSpace(text, start + 1);
  if (text[at] === ']') return at + 1;
  for (;;) {
    at = skipSpace(text, readValue(text, at, depthLeft));
    if (text[at] === ']') return at + 1;
    if (text[at] !== ',') throw unexpected(text, at, 'a comma or the end of the array');
    at = skipSpace(text, at + 1);
  }
}

const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

function readString(text: string, start: number): number {
  let at = start + 1;
  for (;;) {
    if (at >= text.length) throw unexpected(text, at, 'the end of the string');
    const code = text.charCodeAt(at);
    if (code === QUOTE) break;
    if (code < 0x20) throw new JsonError('a control character inside a string', at);
    if (code === BACKSLASH) {
      ESCAPE.lastIndex = at;
      if (!ESCAPE.test(text)) throw new JsonError('an escape that JSON does not have', at);
      at = ESCAPE.lastIndex;
    } else at++;
  }
  const value = JSON.parse(text.slice(start, at + 1)) as string;
  if (!value.isWellFormed()) throw new JsonError('a lone surrogate in a string', start);
  return at + 1;
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;

function readNumber(text: string, at: number): number {
  if (text.charCodeAt(at) === 0xfeff) throw new JsonError('a byte order mark', at);
  NUMBER.lastIndex = at;
  const number = NUMBER.exec(text)?.[0];
  if (number === undefined) throw unexpected(text, at, 'a value');
  if (!Number.isFinite(Number(number))) throw new JsonError('a number out of range', at);
  return at + number.length;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at++;
  return at;
}

function unexpected(text: string, at: number, wanted: string): JsonError {
  return new JsonError(
    at >= text.length ? `the text ends where ${wanted} belongs` : `expected ${wanted}`,
    at,
  );
}

/** The lossy decoder put U+FFFD at the first bad byte; a U+FFFD that the text really holds is spelt EF BF BD. */
function offsetOfBadUtf8(bytes: Uint8Array, lossy: string): number {
  let byte = 0;
  for (let at = 0; at < lossy.length; ) {
    const code = lossy.codePointAt(at) as number;
    if (code === 0xfffd && !(bytes[byte] === 0xef && bytes[byte + 1] === 0xbf && bytes[byte + 2] === 0xbd))
      return at;
    byte += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    at += code < 0x10000 ? 1 : 2;
  }
  return lossy.length;
}
