import type { Entry } from '../entry.ts';
import type { IndexQuery } from './query.ts';
import { wordsOf, wordsOfEntry } from './words.ts';

/**
 * An entry as the index holds it: the keys of its terms, some of them more than once. A word stands as it is; the value
 * of a field as `x=value`, which no word can look like. A resource stands with its ancestors and an action with its
 * families, so that a subtree and `model.*` are one term each. Terms may say less than the fields (cut, folded, hashed),
 * never anything else: the entries found are held against the query again.
 *
 * Entries repeat the same few names, and splitting them again would be most of the work: what the last few thousand
 * values came to is remembered.
 */
export function createTermWriter(keyOf: KeyOf): (entry: Entry) => readonly number[] {
  const memory = (termsOf: (value: string) => readonly string[]): Memory =>
    remember((value) => termsOf(value).map(keyOf), VALUES_MAX);
  const named = (name: string): Memory => memory((value) => [field(name, value), ...wordsOf(value)]);
  const families = (name: string): Memory =>
    memory((value) => [...familiesOf(value).map((each) => field(name, each)), ...wordsOf(value)]);
  const keysOf = {
    principal: named('p'),
    credential: named('c'),
    decision: named('d'),
    action: families('a'),
    reason: families('e'),
    resource: memory((value) => [...ancestry(value).map((node) => field('r', node)), ...wordsOf(value)]),
    plain: memory(wordsOf),
  };
  return (entry) => {
    const { principal, credential, action, reason, resource, source, request, permission, model } = entry;
    const keys: number[] = [];
    addTo(keys, keysOf.action(action));
    addTo(keys, keysOf.reason(reason));
    addTo(keys, keysOf.decision(entry.decision));
    addTo(keys, keysOf.plain(principal.kind));
    if (principal.id !== undefined) addTo(keys, keysOf.principal(principal.id));
    if (principal.name !== undefined) addTo(keys, keysOf.principal(principal.name));
    if (credential !== undefined) addTo(keys, keysOf.credential(credential.id));
    if (resource !== undefined) addTo(keys, keysOf.resource(resource));
    if (permission !== undefined && permission !== action) addTo(keys, keysOf.plain(permission));
    if (model !== undefined) {
      addTo(keys, keysOf.plain(model.version));
      addTo(keys, keysOf.plain(model.digest));
    }
    if (source !== undefined) keys.push(keyOf(field('s', source.address)));
    if (request !== undefined) keys.push(keyOf(field('q', request)));
    // Of many different texts: not worth remembering.
    if (entry.detail !== undefined) for (const word of wordsOfEntry(entry)) keys.push(keyOf(word));
    return keys;
  };
}

/** Spreading costs several times as much. */
function addTo(keys: number[], more: readonly number[]): void {
  for (const key of more) keys.push(key);
}

/** The key of a term: 31 bits, a small integer to V8. */
export type KeyOf = (term: string) => number;

/**
 * Two terms with one key cost a look at entries that are then refused. The seed keeps what clients write into the log
 * from being chosen for that. (MurmurHash3's mixing, a character at a time.)
 */
export function createKeyOf(seed: number): KeyOf {
  return (term) => {
    let state = seed;
    for (let at = 0; at < term.length; at++) {
      state = Math.imul(state ^ term.charCodeAt(at), 0xcc9e2d51);
      state = Math.imul((state << 15) | (state >>> 17), 0x1b873593);
    }
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    return (state ^ (state >>> 16)) >>> 1;
  };
}

const VALUES_MAX = 8192;

type Memory = (value: string) => readonly number[];

/** Two generations: a value that is asked for again survives the change. */
function remember(keysOf: Memory, valuesMax: number): Memory {
  let young = new Map<string, readonly number[]>();
  let old = young;
  return (value) => {
    const known = young.get(value);
    if (known !== undefined) return known;
    const keys = old.get(value) ?? keysOf(value);
    if (young.size >= valuesMax) {
      old = young;
      young = new Map();
    }
    young.set(value, keys);
    return keys;
  };
}

/** Terms that every entry which meets the query has; none if the query asks for nothing that the index knows. */
export function queryTerms(query: IndexQuery): readonly string[] {
  const { principal, credential, action, reason, resource, source, request, decision, q } = query;
  const terms = new Set<string>();
  if (request !== undefined) terms.add(field('q', request));
  if (principal !== undefined) terms.add(field('p', principal));
  if (credential !== undefined) terms.add(field('c', credential));
  if (source !== undefined) terms.add(field('s', source));
  if (reason !== undefined) addFamily(terms, 'e', reason);
  if (action !== undefined) addFamily(terms, 'a', action);
  // All resources lie below the root, and the root itself is not worth a term.
  const node = resource === '/' ? undefined : ancestry(resource ?? '').at(-1);
  if (node !== undefined && node !== '') terms.add(field('r', node));
  if (decision !== undefined) terms.add(field('d', decision));
  for (const word of wordsOf(q ?? '').slice(0, WORDS_MAX)) terms.add(word);
  return [...terms];
}

const WORDS_MAX = 16;
const DEPTH_MAX = 8;
const FAMILIES_MAX = 4;

function field(name: string, value: string): string {
  return `${name}=${value}`;
}

/** `a.b.c` → `a.`, `a.b.`, `a.b.c` */
function familiesOf(name: string): readonly string[] {
  const families: string[] = [];
  for (let at = name.indexOf('.'); at >= 0 && families.length < FAMILIES_MAX; at = name.indexOf('.', at + 1))
    families.push(name.slice(0, at + 1));
  families.push(name);
  return families;
}

function addFamily(terms: Set<string>, name: string, pattern: string): void {
  if (!pattern.endsWith('.*')) {
    terms.add(field(name, pattern));
    return;
  }
  const families = familiesOf(pattern);
  // The last one is the pattern itself.
  const family = families.at(-2);
  if (family !== undefined) terms.add(field(name, family));
}

/** `/a/b/c` → `/a`, `/a/b`, `/a/b/c`; nodes deeper than eight levels are found by the eighth. */
function ancestry(resource: string): readonly string[] {
  const nodes: string[] = [];
  for (let at = resource.indexOf('/', 1); at >= 0; at = resource.indexOf('/', at + 1)) {
    if (nodes.length === DEPTH_MAX) return nodes;
    nodes.push(resource.slice(0, at));
  }
  if (nodes.length < DEPTH_MAX) nodes.push(resource);
  return nodes;
}
