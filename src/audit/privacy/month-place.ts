import type { KeyRing } from '../../crypto/ring/key-ring.ts';
import type { WrappedPlace } from '../../crypto/ring/wrapped-place.ts';
import { type MonthFiles, PRIVACY_KEY } from './month-files.ts';

/** The months' keys as a place of the ring: a rotation of its key `privacy` seals them anew. */
export function createMonthPlace(files: MonthFiles, ring: Pick<KeyRing, 'recipient'>): WrappedPlace {
  const versions = async (): Promise<readonly (readonly [month: string, version: number | undefined])[]> =>
    Promise.all((await files.list()).map(async (month) => [month, await files.versionOf(month)] as const));
  return {
    name: 'months of the audit log',
    rewrapping: 'reseal',
    async usage() {
      const counts = new Map<number, number>();
      for (const [, version] of await versions())
        if (version !== undefined) counts.set(version, (counts.get(version) ?? 0) + 1);
      return [...counts].map(([version, items]) => ({ key: PRIVACY_KEY, version, items }));
    },
    async rewrap(key, limit) {
      const failures: { item: string; reason: string }[] = [];
      let moved = 0;
      if (key !== PRIVACY_KEY) return { moved, failures };
      const { version: active } = ring.recipient(PRIVACY_KEY);
      for (const [month, version] of await versions()) {
        if (version === active || moved === limit) continue;
        if (version === undefined) failures.push({ item: month, reason: 'no key of the ring opens it' });
        else {
          await files.reseal(month);
          moved++;
        }
      }
      return { moved, failures };
    },
  };
}
