import { hash } from 'node:crypto';
import type { Entry } from '../entry.ts';
import type { IndexQuery } from './query.ts';
import { wordsOf, wordsOfEntry } from './words.ts';

/**
 * An entry as the index holds it: terms separated by spaces. A word stands as it is; the value of a field as `x=value`,
 * which no word can look like. A resource stands with its ancestors and an action with its families, so that a subtree
 * and `model.*` are one term each. Terms may say less than the fields (cut, folded, hashed), never anything else: the
 * entries found are held against the query again.
 *
 * Entries repeat the same few names, and splitting them again would be most of the work: what the last few thousand
 * values came to is remembered.
 */
export function createTermWriter(): (entry: Entry) => string {
  const named = (name: string): Memory =>
    remember((value) => [field(name, value), ...wordsOf(value)], VALUES_MAX);
  const families = (name: string): Memory =>
    remember(
      (value) => [...familiesOf(value).map((each) => field(name, each)), ...wordsOf(value)],
      VALUES_MAX,
    );
  const memory = {
    principal: named('p'),
    credential: named('c'),
    decision: named('d'),
    action: families('a'),
    reason: families('e'),
    resource: remember(
      (value) => [...ancestry(value).map((node) => field('r', node)), ...wordsOf(value)],
      VALUES_MAX,
    ),
    plain: remember(wordsOf, VALUES_MAX),
  };
  return (entry) => {
    const { principal, credential, action, reason, resource, source, request, permission, model } = entry;
    let text = `${memory.action(action)} ${memory.reason(reason)} ${memory.decision(entry.decision)}`;
    text += ` ${memory.plain(principal.kind)}`;
    if (principal.id !== undefined) text += ` ${memory.principal(principal.id)}`;
    if (principal.name !== undefined) text += ` ${memory.principal(principal.name)}`;
    if (credential !== undefined) text += ` ${memory.credential(credential.id)}`;
    if (resource !== undefined) text += ` ${memory.resource(resource)}`;
    if (permission !== undefined && permission !== action) text += ` ${memory.plain(permission)}`;
    if (model !== undefined) text += ` ${memory.plain(model.version)} ${memory.plain(model.digest)}`;
    if (source !== undefined) text += ` ${field('s', source.address)}`;
    if (request !== undefined) text += ` ${requestTerm(request)}`;
    // Of many different texts: not worth remembering.
    if (entry.detail !== undefined) text += ` ${[...wordsOfEntry(entry)].join(' ')}`;
    return text;
  };
}

const VALUES_MAX = 8192;

type Memory = (value: string) => string;

/** Two generations: a value that is asked for again survives the change. */
function remember(termsOf: (value: string) => readonly string[], valuesMax: number): Memory {
  let young = new Map<string, string>();
  let old = young;
  return (value) => {
    const known = young.get(value);
    if (known !== undefined) return known;
    const terms = old.get(value) ?? termsOf(value).join(' ');
    if (young.size >= valuesMax) {
      old = young;
      young = new Map();
    }
    young.set(value, terms);
    return terms;
  };
}

/** Terms that every entry which meets the query has; none if the query asks for nothing that the index knows. */
export function queryTerms(query: IndexQuery): readonly string[] {
  const { principal, credential, action, reason, resource, source, request, decision, q } = query;
  const terms = new Set<string>();
  if (request !== undefined) terms.add(requestTerm(request));
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

/** The tokenizer splits at spaces and control characters; quotes would end a quoted term. */
function field(name: string, value: string): string {
  return `${name}=${UNSAFE.test(value) ? value.replace(UNSAFE_ALL, '\u00a0') : value}`;
}

// oxlint-disable-next-line no-control-regex -- control characters are what is replaced
const UNSAFE = /[\0-\x20"'\x7f]/;
// oxlint-disable-next-line no-control-regex -- control characters are what is replaced
const UNSAFE_ALL = /[\0-\x20"'\x7f]/g;

/** Each request has its own: 48 bits say enough. */
function requestTerm(request: string): string {
  return field('q', hash('sha256', request, 'base64url').slice(0, 8));
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
