import { setImmediate } from 'node:timers/promises';
import type { EntryPage, IndexedEntry } from '../audit-log.ts';
import type { EntrySource } from '../entry-source.ts';
import { LIMIT_DEFAULT, LIMIT_MAX } from '../search.ts';
import type { IndexTuning } from './audit-index.ts';
import type { Indexer } from './indexer.ts';
import { type IndexQuery, meets, type Reveal } from './query.ts';
import { queryTerms } from './terms.ts';

/** Entries that are not indexed are read in pieces of this size. */
const READ = 256;
/** With more than this missing from the index, indexing them first is worth the wait. */
const TAIL = 512;
/** Entries this near to each other are read together. */
const NEAR = 8;
const READS_AT_ONCE = 8;
/** Rounds of asking the index in one call: more than one only if what it proposed did not meet the query. */
const FINDS_MAX = 8;

interface SearchParts {
  readonly source: EntrySource;
  readonly reveal: Reveal;
  readonly indexer: Pick<Indexer, 'applied' | 'catchUp' | 'find'>;
  readonly tuning: Pick<IndexTuning, 'catchUpMax' | 'scanMax'>;
}

/** Walks down the log: the newest entries, not indexed yet, are read; below them the index says which to read. */
export function createSearch({
  source,
  reveal,
  indexer,
  tuning,
}: SearchParts): (query: IndexQuery) => Promise<EntryPage> {
  return async (query) => {
    const limit = Math.min(Math.max(1, query.limit ?? LIMIT_DEFAULT), LIMIT_MAX);
    const floor = Math.max(0, (query.after ?? -1) + 1);
    const size = source.size();
    const terms = queryTerms(query);
    const found: IndexedEntry[] = [];
    let end = Math.min(size, query.before ?? size);
    if (end - indexer.applied() > TAIL && size - indexer.applied() <= tuning.catchUpMax)
      await indexer.catchUp().catch(() => {});
    let scanned = 0;
    let finds = 0;
    let usesIndex = true;
    while (end > floor && found.length < limit) {
      const applied = indexer.applied();
      if (usesIndex && applied >= end) {
        // The less of what was proposed met the query, the more to ask for.
        const wanted = Math.min(LIMIT_MAX, (limit - found.length) * 4 ** finds);
        const { from, to } = query;
        const answer = await indexer.find({ terms, from, to, floor, end, limit: wanted });
        usesIndex = answer !== undefined;
        if (answer === undefined) continue;
        await take(answer.indices);
        end = found.length === limit ? (found.at(-1)?.index ?? answer.floor) : answer.floor;
        // One call has looked at enough: the caller asks again.
        if (answer.indices.length < wanted || ++finds === FINDS_MAX) break;
      } else {
        if (scanned >= tuning.scanMax) break;
        const low = Math.max(floor, usesIndex && applied < end ? applied : floor, end - READ);
        const rows = await source.read(low, end - low);
        if (scanned > 0) await setImmediate();
        scanned += READ;
        for (const row of rows.toReversed()) keep(row);
        end = found.length === limit ? (found.at(-1)?.index ?? low) : low;
      }
    }
    return { entries: found, ...(end > floor && { before: end }) };

    function keep({ index, leaf, entry }: IndexedEntry): void {
      if (found.length === limit) return;
      const opened = reveal(entry);
      if (meets(opened, query)) found.push({ index, leaf, entry: opened });
    }

    async function take(indices: readonly number[]): Promise<void> {
      const runs = runsOf(indices);
      for (let at = 0; at < runs.length && found.length < limit; at += READS_AT_ONCE) {
        const group = runs.slice(at, at + READS_AT_ONCE);
        const read = await Promise.all(group.map(({ low, high }) => source.read(low, high - low + 1)));
        for (const [place, rows] of read.entries()) {
          const wanted = group[place]?.indices;
          for (const row of rows.toReversed()) if (wanted?.has(row.index) === true) keep(row);
        }
      }
    }
  };
}

interface Run {
  low: number;
  readonly high: number;
  readonly indices: Set<number>;
}

/** Descending indices, grouped so that neighbours are read together. */
function runsOf(indices: readonly number[]): readonly Run[] {
  const runs: Run[] = [];
  for (const index of indices) {
    const run = runs.at(-1);
    if (run !== undefined && run.low - index <= NEAR && run.high - index < READ) {
      run.low = index;
      run.indices.add(index);
    } else {
      runs.push({ low: index, high: index, indices: new Set([index]) });
    }
  }
  return runs;
}
