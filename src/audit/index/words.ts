import type { Entry } from '../entry.ts';

/** Longer words are cut, in entries and in queries alike. */
const WORD_UNITS_MAX = 64;
/** Words of one entry that can be found; `detail` comes last, so that it is what a long entry loses. */
const WORDS_MAX = 256;

/** The words of a text: runs of letters and digits, without case and accents, in order. */
export function wordsOf(text: string): readonly string[] {
  const plain = ASCII.test(text) ? text : text.normalize('NFKD').replace(/\p{M}+/gu, '');
  return (plain.toLowerCase().match(WORD) ?? []).map((word) => word.slice(0, WORD_UNITS_MAX));
}

const ASCII = /^[\0-\x7f]*$/;
const WORD = /[\p{L}\p{N}]+/gu;

/** What free text finds an entry by. */
export function wordsOfEntry(entry: Entry): ReadonlySet<string> {
  const { principal, action, decision, reason, permission, resource, credential, model, detail } = entry;
  const texts = [
    action,
    decision,
    reason,
    principal.kind,
    principal.name,
    principal.id,
    resource,
    permission === action ? undefined : permission,
    credential?.id,
    model?.version,
    model?.digest,
    ...Object.values(detail ?? {}),
  ];
  const words = new Set<string>();
  for (const text of texts) {
    if (typeof text !== 'string') continue;
    for (const word of wordsOf(text)) {
      if (words.size === WORDS_MAX) return words;
      words.add(word);
    }
  }
  return words;
}
