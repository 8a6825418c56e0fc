import type { IndexedEntry } from './audit-log.ts';
import type { Entry } from './entry.ts';

/** The newest entries, in memory: who follows the log closely need not read it back. */
export interface Recent {
  /** `text` is what was recorded; `entry`, where it is at hand, what it would be parsed to. */
  add(index: number, text: string, leaf: Uint8Array, entry?: Entry): void;
  /** The run of entries from `from` on that is held, at most `limit`; empty if `from` itself is not held. */
  read(from: number, limit: number): readonly IndexedEntry[];
}

interface Place {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

const LEAF_BYTES = 32;
/** A UTF-16 unit is at most three bytes of UTF-8. */
const UNIT_BYTES = 3;

/** Entries whose objects wait for their first reader. */
const UNREAD_MAX = 256;

/**
 * Kept as bytes in one buffer, written round and round. Thousands of texts and objects that live for a second or two would
 * each be copied by the garbage collector, twice. The first reader, who follows at once, gets the object itself: parsing is
 * most of what following costs.
 */
export function createRecent({ countMax = 4096, bytesMax = 8 << 20 } = {}): Recent {
  const unread = new Map<number, Entry>();
  const bytes = Buffer.allocUnsafeSlow(bytesMax);
  const held = new Map<number, Place>();
  let next = 0;
  return {
    add(index, text, leaf, entry) {
      const room = LEAF_BYTES + text.length * UNIT_BYTES;
      if (room > bytesMax) return;
      if (next + room > bytesMax) {
        // The oldest ones lie behind: from here to the end of the buffer.
        drop(next, bytesMax);
        next = 0;
      }
      drop(next, next + room);
      if (held.size === countMax) dropOldest();
      bytes.set(leaf, next);
      const length = bytes.write(text, next + LEAF_BYTES);
      const end = next + LEAF_BYTES + length;
      held.set(index, { index, start: next, end });
      next = end;
      if (entry === undefined) return;
      if (unread.size === UNREAD_MAX) unread.clear();
      unread.set(index, entry);
    },
    read(from, limit) {
      const found: IndexedEntry[] = [];
      for (let index = from; index < from + limit; index++) {
        const place = held.get(index);
        if (place === undefined) break;
        const text = place.start + LEAF_BYTES;
        const leaf = Uint8Array.from(bytes.subarray(place.start, text));
        const entry = unread.get(index) ?? (JSON.parse(bytes.toString('utf8', text, place.end)) as Entry);
        unread.delete(index);
        found.push({ index, leaf, entry });
      }
      return found;
    },
  };

  /** The oldest come first, in the map as in the buffer. */
  function drop(start: number, end: number): void {
    for (const place of held.values()) {
      if (place.end <= start || place.start >= end) return;
      held.delete(place.index);
    }
  }

  function dropOldest(): void {
    for (const oldest of held.keys()) {
      held.delete(oldest);
      return;
    }
  }
}
