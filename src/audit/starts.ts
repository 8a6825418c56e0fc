import type { Entry } from './entry.ts';
import { auditProblems } from './problems.ts';
import { parseEntry, phaseOf } from './serialise.ts';

/** Keeps `starts` the starts, by id, that no end has answered yet. */
export function noteStart(starts: Map<string, number>, index: number, entry: Uint8Array): void {
  const { kind, id, of } = phaseOf(entry);
  if (kind === 'start') starts.set(id, index);
  if (kind === 'end' && of !== undefined) starts.delete(of);
}

/** The entry in bytes that were checked before. Throws `audit.log_corrupt` if they are not one. */
export function entryAt(index: number, bytes: Uint8Array): Entry {
  const entry = parseEntry(bytes);
  if (entry === undefined) throw auditProblems.log_corrupt(`entry ${index} is not a valid entry`);
  return entry;
}
