import type { Entry } from './entry.ts';
import type { Privacy } from './privacy/privacy.ts';

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

/**
 * Seals the source of an entry that nobody has seen yet, so that no copy of it need be made. Without keys the address
 * stands as it is, and what the client says of itself nowhere.
 */
export function sealSource(entry: Mutable<Entry>, privacy: Pick<Privacy, 'seal'> | undefined): Entry {
  const given = entry.source;
  if (given === undefined || (privacy === undefined && given.agent === undefined)) return entry;
  const source =
    privacy === undefined ? { address: given.address, port: given.port } : privacy.seal(given, entry.time);
  if (source === undefined) delete entry.source;
  else entry.source = source;
  return entry;
}
