import type { EntryQuery } from '../audit-log.ts';
import type { Entry } from '../entry.ts';
import { matches } from '../search.ts';
import { wordsOf, wordsOfEntry } from './words.ts';

/** What the index can be asked. All given conditions hold together. */
export interface IndexQuery extends EntryQuery {
  /** `no_matching_binding`, or `identity.*` for every reason of a room. */
  readonly reason?: string;
  /** Id of the credential. */
  readonly credential?: string;
  /** Source address, as the entry tells it once opened. */
  readonly source?: string;
  /** Request id, as answered in `x-request-id`. */
  readonly request?: string;
  /** Free text: every word of it stands somewhere in the entry. Punctuation only separates words. */
  readonly q?: string;
}

/** Gives an entry with what is sealed in it opened; what can no longer be opened is left out. */
export type Reveal = (entry: Entry) => Entry;

/**
 * Claims that the opened entry meets every condition but the place in the log. This is what a query means: the index
 * only proposes entries, and each is held against this before it is shown.
 */
export function meets(entry: Entry, query: IndexQuery): boolean {
  const { reason, credential, source, request, q } = query;
  return (
    matches(entry, query) &&
    (reason === undefined || coversName(reason, entry.reason)) &&
    (credential === undefined || entry.credential?.id === credential) &&
    (source === undefined || entry.source?.address === source) &&
    (request === undefined || entry.request === request) &&
    (q === undefined || hasWords(entry, q))
  );
}

function coversName(pattern: string, name: string): boolean {
  return pattern.endsWith('.*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function hasWords(entry: Entry, text: string): boolean {
  const words = wordsOfEntry(entry);
  return wordsOf(text).every((word) => words.has(word));
}
