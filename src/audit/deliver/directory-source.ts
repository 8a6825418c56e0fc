import { readBundles } from '../bundle-source.ts';
import type { EntrySource } from '../entry-source.ts';

/** Entries of a copy of `log/`, below `size`, read from its bundles. Rejects with `audit.log_corrupt`. */
export function createDirectorySource(directory: string, size: number): Pick<EntrySource, 'size' | 'read'> {
  return {
    size: () => size,
    read: async (from, limit) => readBundles(directory, { from, limit, size }),
  };
}
