import { cryptoProblems } from '../problems.ts';
import type { KeyPurpose } from './key-ring.ts';
import { ringProblems } from './problems.ts';
import {
  defaultRotateDays,
  generateMaterial,
  KEY_NAME,
  ROTATE_DAYS_MAX,
  type RingDocument,
  type RingKey,
  type RingVersion,
} from './ring-document.ts';

/** What can be done to a ring: each makes a new document, or undefined if there is nothing to change. */
export type RingChange = (ring: RingDocument) => RingDocument | undefined;

export function creation(
  name: string,
  purpose: KeyPurpose,
  rotateDays: number | null | undefined,
  now: number,
): RingChange {
  return (ring) => {
    if (!KEY_NAME.test(name)) throw cryptoProblems.key_unavailable(`"${name}" is not a name for a key`);
    if (find(ring, name) !== undefined) throw ringProblems.key_exists(`there is a key "${name}"`);
    if (rotateDays !== undefined) checkPeriod(name, purpose, rotateDays);
    const period = rotateDays === undefined ? defaultRotateDays(purpose) : rotateDays;
    return put(ring, name, { purpose, rotateDays: period, versions: [newVersion(1, purpose, now)] });
  };
}

/** As a creation, but content with what exists if it has the purpose. */
export function assurance(name: string, purpose: KeyPurpose, now: number): RingChange {
  return (ring) => {
    const existing = find(ring, name);
    if (existing === undefined) return creation(name, purpose, undefined, now)(ring);
    if (existing.purpose === purpose) return undefined;
    throw cryptoProblems.key_unavailable(`the key "${name}" is for ${existing.purpose}, not for ${purpose}`);
  };
}

export function rotation(name: string, now: number): RingChange {
  return (ring) => {
    const key = keyOf(ring, name);
    return put(ring, name, { ...key, versions: withNewActive(key, now) });
  };
}

export function rescheduling(name: string, rotateDays: number | null): RingChange {
  return (ring) => {
    const key = keyOf(ring, name);
    checkPeriod(name, key.purpose, rotateDays);
    return key.rotateDays === rotateDays ? undefined : put(ring, name, { ...key, rotateDays });
  };
}

export function marking(
  name: string,
  version: number,
  state: 'compromised' | 'decrypt-only',
  now: number,
): RingChange {
  return (ring) => {
    const key = keyOf(ring, name);
    const marked = versionOf(key, name, version);
    if (marked.state === 'destroyed') throw destroyed(name, version);
    if (marked.state === state) return undefined;
    if (marked.state !== 'active')
      return put(ring, name, withState(key, version, { ...marked, state, stateSince: now }));
    if (state === 'decrypt-only') {
      throw ringProblems.key_version_active(
        `version ${version} of the key "${name}" is active; rotate the key`,
      );
    }
    if (key.purpose === 'sign') {
      throw ringProblems.rotation_refused(
        `the key "${name}" signs: what was signed with a stolen one cannot be told from the rest`,
      );
    }
    const rotated = rotation(name, now)(ring);
    return rotated && marking(name, version, state, now)(rotated);
  };
}

export function destruction(name: string, version: number, now: number): RingChange {
  return (ring) => {
    const key = keyOf(ring, name);
    const { material: _, ...doomed } = versionOf(key, name, version);
    if (doomed.state === 'destroyed') return undefined;
    if (doomed.state === 'active') {
      throw ringProblems.key_version_active(
        `version ${version} of the key "${name}" is active; rotate the key`,
      );
    }
    return put(ring, name, withState(key, version, { ...doomed, state: 'destroyed', stateSince: now }));
  };
}

/** Writes use counts. `usesOf` answers undefined for a version that was not used. */
export function counting(usesOf: (name: string, version: RingVersion) => number | undefined): RingChange {
  return (ring) => {
    let changed = false;
    const keys = Object.entries(ring.keys).map(([name, key]): [string, RingKey] => {
      const versions = key.versions.map((version) => {
        const uses = usesOf(name, version) ?? version.uses;
        changed ||= uses !== version.uses;
        return { ...version, uses };
      });
      return [name, { ...key, versions }];
    });
    return changed ? { ...ring, keys: Object.fromEntries(keys) } : undefined;
  };
}

function withNewActive(key: RingKey, now: number): RingVersion[] {
  const retired = key.versions.map((version) =>
    version.state === 'active' ? { ...version, state: 'decrypt-only' as const, stateSince: now } : version,
  );
  return [...retired, newVersion(key.versions.length + 1, key.purpose, now)];
}

function newVersion(version: number, purpose: KeyPurpose, now: number): RingVersion {
  const material = generateMaterial(purpose);
  return { version, createdAt: now, state: 'active', stateSince: now, uses: 0, material };
}

function checkPeriod(name: string, purpose: KeyPurpose, rotateDays: number | null): void {
  if (rotateDays === null) return;
  if (purpose === 'sign')
    throw ringProblems.rotation_refused(`the key "${name}" signs: it is not rotated by time`);
  if (!Number.isInteger(rotateDays) || rotateDays < 1 || rotateDays > ROTATE_DAYS_MAX) {
    throw new RangeError(`a key is rotated after 1 to ${ROTATE_DAYS_MAX} days`);
  }
}

function put(ring: RingDocument, name: string, key: RingKey): RingDocument {
  return { ...ring, keys: { ...ring.keys, [name]: key } };
}

function withState(key: RingKey, version: number, changed: RingVersion): RingKey {
  return { ...key, versions: key.versions.map((each) => (each.version === version ? changed : each)) };
}

function find(ring: RingDocument, name: string): RingKey | undefined {
  return Object.hasOwn(ring.keys, name) ? ring.keys[name] : undefined;
}

function keyOf(ring: RingDocument, name: string): RingKey {
  const key = find(ring, name);
  if (key === undefined) throw cryptoProblems.key_unavailable(`there is no key "${name}"`);
  return key;
}

function versionOf(key: RingKey, name: string, version: number): RingVersion {
  const found = key.versions[version - 1];
  if (found === undefined)
    throw cryptoProblems.key_unavailable(`the key "${name}" has no version ${version}`);
  return found;
}

function destroyed(name: string, version: number): Error {
  return cryptoProblems.key_unavailable(`version ${version} of the key "${name}" was destroyed`);
}
