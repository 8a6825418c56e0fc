import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EntryPage, EntryQuery, IndexedEntry } from './audit-log.ts';
import type { Entry } from './entry.ts';
import { isMissing } from './log-files.ts';
import { auditProblems } from './problems.ts';
import { entryAt } from './starts.ts';
import { parseBundle, TILE_WIDTH, tilePath } from './tile.ts';
import { leafHash } from './tree.ts';

export const LIMIT_DEFAULT = 100;
export const LIMIT_MAX = 1000;
/** One call reads at most so many bundles: 131,072 entries. */
const BUNDLES_MAX = 512;

/** Reads the bundles of a log of `size` entries backwards to `first`, one in memory at a time. */
export async function searchBundles(
  directory: string,
  { first: start, size }: { readonly first: number; readonly size: number },
  query: EntryQuery,
): Promise<EntryPage> {
  const limit = Math.min(Math.max(1, query.limit ?? LIMIT_DEFAULT), LIMIT_MAX);
  const floor = Math.max(start, (query.after ?? -1) + 1);
  let end = Math.min(size, query.before ?? size);
  const found: IndexedEntry[] = [];
  for (let bundles = 0; end > floor; bundles++) {
    if (bundles === BUNDLES_MAX) return { entries: found, before: end };
    const place = Math.floor((end - 1) / TILE_WIDTH);
    const first = place * TILE_WIDTH;
    const { bytes, entries } = await readBundle(directory, place, size);
    const lowest = Math.max(first, floor);
    if (mayHold(bytes, query)) {
      for (let index = end - 1; index >= lowest; index--) {
        const { entry, leaf } = decode(index, entries[index - first]);
        if (!matches(entry, query)) continue;
        found.push({ index, leaf, entry });
        if (found.length === limit) return { entries: found, ...(index > floor && { before: index }) };
      }
    }
    end = lowest;
  }
  return { entries: found };
}

export async function readIndexed(directory: string, size: number, index: number): Promise<IndexedEntry> {
  const { entries } = await readBundle(directory, Math.floor(index / TILE_WIDTH), size);
  return { index, ...decode(index, entries[index % TILE_WIDTH]) };
}

/** Claims that the entry meets every condition of the query. */
export function matches(entry: Entry, query: EntryQuery): boolean {
  const { principal, action, resource, decision, from, to } = query;
  const time = Date.parse(entry.time);
  return (
    (principal === undefined || entry.principal.id === principal || entry.principal.name === principal) &&
    (action === undefined || covers(action, entry.action)) &&
    (resource === undefined || isBelow(entry.resource, resource)) &&
    (decision === undefined || entry.decision === decision) &&
    (from === undefined || time >= from) &&
    (to === undefined || time < to)
  );
}

function covers(pattern: string, action: string): boolean {
  return pattern.endsWith('.*') ? action.startsWith(pattern.slice(0, -1)) : action === pattern;
}

function isBelow(resource: string | undefined, node: string): boolean {
  if (resource === undefined) return false;
  return node === '/' || resource === node || resource.startsWith(`${node}/`);
}

/** Looks for the asked texts in the raw bundle before 256 entries are parsed. Escaped texts are left to the parser. */
function mayHold(bytes: Buffer, { principal, action, resource, decision }: EntryQuery): boolean {
  const texts = [principal, action?.replace(/\*$/, ''), resource, decision].filter(
    (text) => text !== undefined,
  );
  return texts.every((text) => !/^[\w./:@-]+$/.test(text) || bytes.includes(text));
}

async function readBundle(
  directory: string,
  place: number,
  size: number,
): Promise<{ readonly bytes: Buffer; readonly entries: readonly Uint8Array[] }> {
  const width = Math.min(TILE_WIDTH, size - place * TILE_WIDTH);
  for (const each of width === TILE_WIDTH ? [width] : [width, TILE_WIDTH]) {
    try {
      const bytes = await readFile(join(directory, tilePath('entries', place, each)));
      return { bytes, entries: parseBundle(bytes).entries };
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }
  throw auditProblems.log_corrupt(
    `entry ${place * TILE_WIDTH} is missing: there is no ${tilePath('entries', place, width)}`,
  );
}

function decode(index: number, bytes: Uint8Array | undefined): Omit<IndexedEntry, 'index'> {
  if (bytes === undefined) throw auditProblems.log_corrupt(`entry ${index} is missing from its bundle`);
  return { leaf: leafHash(bytes), entry: entryAt(index, bytes) };
}
