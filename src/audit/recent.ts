import type { IndexedEntry } from './audit-log.ts';
import type { Entry } from './entry.ts';

/** The newest entries, in memory: who follows the log closely need not read it back. */
export interface Recent {
  /** `text` is what was recorded. */
  add(index: number, text: string, leaf: Uint8Array): void;
  /** The run of entries from `from` on that is held, at most `limit`; empty if `from` itself is not held. */
  read(from: number, limit: number): readonly IndexedEntry[];
}

interface Held {
  readonly text: string;
  readonly leaf: Uint8Array;
  entry?: Entry;
}

export function createRecent({ countMax = 4096, charactersMax = 8 << 20 } = {}): Recent {
  const held = new Map<number, Held>();
  let characters = 0;
  return {
    add(index, text, leaf) {
      held.set(index, { text, leaf });
      characters += text.length;
      for (const [oldest, { text: gone }] of held) {
        if (held.size <= countMax && characters <= charactersMax) break;
        held.delete(oldest);
        characters -= gone.length;
      }
    },
    read(from, limit) {
      const found: IndexedEntry[] = [];
      for (let index = from; index < from + limit; index++) {
        const each = held.get(index);
        if (each === undefined) break;
        // Once, however many follow.
        each.entry ??= JSON.parse(each.text) as Entry;
        found.push({ index, leaf: each.leaf, entry: each.entry });
      }
      return found;
    },
  };
}
