import type { KeyFacts, KeyVersionFacts } from '../crypto/ring/key-ring.ts';
import { SEAL_USES_MAX } from '../crypto/ring/sealed-key-ring.ts';
import type { WrappedPlace } from '../crypto/ring/wrapped-place.ts';

/** A key with what the whole keep has under it. */
export interface KeyReport extends KeyFacts {
  readonly versions: readonly VersionReport[];
  /** When a new version is due, milliseconds since 1970; null: only when someone asks. */
  readonly rotatesAt: number | null;
  /** A reencryption has begun at this time and has not ended; null: none has. */
  readonly reencryptingSince: number | null;
}

export interface VersionReport extends KeyVersionFacts {
  /** Places that hold items under this version; those without any are left out. */
  readonly items: readonly PlaceCount[];
}

export interface PlaceCount {
  readonly place: string;
  readonly items: number;
}

/** Items by key, version and place. */
export interface Usage {
  of(key: string, version: number): readonly PlaceCount[];
}

/** Asks every place. */
export async function readUsage(places: readonly WrappedPlace[]): Promise<Usage> {
  const counts = new Map<string, PlaceCount[]>();
  for (const place of places) {
    for (const { key, version, items } of await place.usage()) {
      if (items === 0) continue;
      const id = `${key}/${version}`;
      counts.set(id, [...(counts.get(id) ?? []), { place: place.name, items }]);
    }
  }
  return { of: (key, version) => counts.get(`${key}/${version}`) ?? [] };
}

export function reportOf(key: KeyFacts, usage: Usage, reencryptingSince: number | null): KeyReport {
  return {
    ...key,
    versions: key.versions.map((version) => ({ ...version, items: usage.of(key.name, version.version) })),
    rotatesAt: rotatesAt(key),
    reencryptingSince,
  };
}

const DAY_MS = 86_400_000;
/** Of what a seal key may seal at most, as OpenBao does it. */
const SEAL_USES_DUE = Math.floor(SEAL_USES_MAX * 0.9);

export function rotatesAt(key: KeyFacts): number | null {
  const active = activeVersion(key);
  return key.rotateDays === null || active === undefined ? null : active.createdAt + key.rotateDays * DAY_MS;
}

/** Why a new version is due now, or undefined. */
export function rotationDue(key: KeyFacts, now: number): 'age' | 'uses' | undefined {
  if (key.purpose === 'sign') return undefined;
  if (key.purpose === 'seal' && (activeVersion(key)?.uses ?? 0) >= SEAL_USES_DUE) return 'uses';
  const at = rotatesAt(key);
  return at !== null && now >= at ? 'age' : undefined;
}

export function activeVersion(key: KeyFacts): KeyVersionFacts | undefined {
  return key.versions.findLast(({ state }) => state === 'active');
}
