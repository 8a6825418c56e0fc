import { createSecretKey, type KeyObject, randomBytes } from 'node:crypto';
import { cryptoProblems } from '../crypto/problems.ts';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import type { Log } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { Grant } from '../kernel/principal.ts';
import { Secret } from '../kernel/secret.ts';
import { macOfApiKey, newApiKeyText } from './api-key.ts';
import type { Directory } from './directory.ts';
import { identityProblems } from './problems.ts';
import { type ApiKey, type ApiKeyRecord, type PrincipalRecord, toApiKey } from './record.ts';
import { checkScopes } from './scopes.ts';
import type { IdentityStore } from './store.ts';

export const API_KEY_RING_KEY = 'api-keys';

export interface NewApiKey {
  /** `user:NAME`, `service-account:NAME` or an id. */
  readonly owner: string;
  readonly label?: string;
  readonly scopes?: readonly Grant[];
  /** Users: 1–365, default 90. Service accounts: 1–3650, default without end. */
  readonly expiresInDays?: number;
  /** Milliseconds since 1970 UTC; default at once. */
  readonly notBefore?: number;
}

export interface ApiKeys {
  /** All keys, or those of one owner; the newest first. */
  list(ownerId?: string): readonly ApiKey[];
  /** By `key_…` id or by the ten public characters. */
  find(reference: string): ApiKey | undefined;
  /** Makes a key. Its text exists in this answer and nowhere else. `createdBy`: a principal's id. */
  create(
    request: NewApiKey,
    createdBy: string,
  ): Promise<{ readonly key: ApiKey; readonly text: Secret<string> }>;
  /** Dead before the promise resolves. Revoking it again changes nothing. */
  revoke(reference: string): Promise<ApiKey>;
  /** Notes a use: kept in memory, written at most once a minute, off the path of the request. */
  used(key: ApiKeyRecord): void;
  /** Puts a key that was presented under the active version of the MAC key. Off the path of the request; never rejects. */
  restamp(key: ApiKeyRecord, text: Secret<string>): Promise<void>;
  /** Writes the uses that are not written yet. */
  flush(): Promise<void>;
}

/** HMAC keys of the ring key `api-keys`, by version. */
export interface MacKeys {
  active(): { readonly version: number; readonly key: KeyObject };
  /**
   * For a version that is compromised or gone, and without one, a key that nothing matches: the work of a comparison for
   * what cannot be compared.
   */
  key(version: number | undefined): KeyObject;
}

/** Asks the ring anew each time: a rotation, and a mark on a version, count at once. */
export function createMacKeys(ring: Pick<KeyRing, 'macKey'>): MacKeys {
  const decoy = createSecretKey(randomBytes(32));
  return {
    active: () => ring.macKey(API_KEY_RING_KEY),
    key(version) {
      if (version === undefined) return decoy;
      try {
        return ring.macKey(API_KEY_RING_KEY, version).key;
      } catch (error) {
        if (isProblem(error, cryptoProblems.key_unavailable)) return decoy;
        if (isProblem(error, ringProblems.key_compromised)) return decoy;
        throw error;
      }
    },
  };
}

const DAY_MS = 86_400_000;
const DAYS = {
  user: { default: 90, max: 365 },
  service_account: { default: undefined, max: 3_650 },
} as const;
const USES_WRITTEN_EVERY_MS = 60_000;
const LABEL_LENGTH_MAX = 200;

export function createApiKeys({
  store,
  directory,
  macKeys,
  clock,
  log,
  isPermission,
}: {
  store: Pick<IdentityStore, 'insertKey' | 'revokeKey' | 'touchKeys' | 'replaceMac'>;
  directory: Directory;
  macKeys: MacKeys;
  clock: Clock;
  log: Log;
  isPermission: (text: string) => boolean;
}): ApiKeys {
  /** Time of last use of the keys whose use is neither in the directory nor written: one small set per request. */
  const uses = new Map<string, number>();
  let writtenAt = Number.NEGATIVE_INFINITY;
  /** Keys whose new MAC is being written: a busy key is presented many times meanwhile. */
  const restamping = new Set<string>();
  let writing: Promise<void> = Promise.resolve();

  /** Through the turn: an id that is written here belongs to a key as the changes before it left it. */
  function flush(): Promise<void> {
    if (uses.size === 0) return writing;
    const batch = new Map(uses);
    uses.clear();
    for (const [id, lastUsedAt] of batch) {
      const key = directory.key(id);
      if (key !== undefined) directory.putKey({ ...key, lastUsedAt });
    }
    writtenAt = clock.monotonic();
    writing = directory
      .inTurn(() => store.touchKeys(batch))
      .catch((error: unknown) => {
        log.warn('identity.key_uses_not_written', { error: error instanceof Error ? error : String(error) });
      });
    return writing;
  }

  function view(key: ApiKeyRecord): ApiKey {
    return { ...toApiKey(key), lastUsedAt: uses.get(key.id) ?? key.lastUsedAt };
  }

  return {
    list: (ownerId) =>
      (ownerId === undefined ? directory.keys() : directory.keysOf(ownerId))
        .toSorted((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1))
        .map(view),
    find(reference) {
      const key = directory.key(reference);
      return key === undefined ? undefined : view(key);
    },
    create: (request, createdBy) =>
      directory.inTurn(async () => {
        const owner = ownerOf(request.owner);
        const now = clock.now();
        const notBefore = request.notBefore ?? now;
        const { text, publicId } = newApiKeyText();
        const { version, key } = macKeys.active();
        const record: ApiKeyRecord = {
          id: newId('key', clock),
          publicId,
          mac: macOfApiKey(text, key),
          macKeyVersion: version,
          ownerId: owner.id,
          label: labelOf(request),
          scopes: request.scopes === undefined ? null : checkScopes(request.scopes, isPermission),
          createdAt: now,
          createdBy,
          notBefore,
          expiresAt: expiryOf(owner, request.expiresInDays, Math.max(now, notBefore)),
          revokedAt: null,
          lastUsedAt: null,
        };
        await store.insertKey(record);
        directory.putKey(record);
        return { key: toApiKey(record), text: new Secret(text) };
      }),
    revoke: (reference) =>
      directory.inTurn(async () => {
        const key = directory.key(reference);
        if (key === undefined) throw identityProblems.not_found('there is no such API key');
        if (key.revokedAt !== null) return view(key);
        const revoked = { ...key, revokedAt: clock.now() };
        await store.revokeKey(key.id, revoked.revokedAt);
        directory.putKey(revoked);
        return view(revoked);
      }),
    used(key) {
      uses.set(key.id, clock.now());
      if (clock.monotonic() - writtenAt >= USES_WRITTEN_EVERY_MS) void flush();
    },
    async restamp({ id, macKeyVersion }, text) {
      if (restamping.has(id)) return;
      restamping.add(id);
      try {
        const { version, key } = macKeys.active();
        const mac = macOfApiKey(text.reveal(), key);
        await directory.inTurn(async () => {
          if (!(await store.replaceMac(id, macKeyVersion, { mac, macKeyVersion: version }))) return;
          const current = directory.key(id);
          if (current !== undefined) directory.putKey({ ...current, mac, macKeyVersion: version });
        });
      } catch (error) {
        log.warn('identity.mac_not_replaced', {
          key: id,
          error: error instanceof Error ? error : String(error),
        });
      } finally {
        restamping.delete(id);
      }
    },
    flush,
  };

  function ownerOf(reference: string): PrincipalRecord {
    const subject = directory.subject(reference);
    const owner = subject === undefined ? undefined : directory.byId(subject.id);
    if (owner === undefined) throw identityProblems.not_found(`there is no principal "${reference}"`);
    if (owner.state !== 'active') throw identityProblems.disabled(`"${owner.name}" is disabled`);
    return owner;
  }
}

function labelOf({ label = '' }: NewApiKey): string {
  if (label.length > LABEL_LENGTH_MAX) {
    throw identityProblems.key_refused(`a label has at most ${LABEL_LENGTH_MAX} characters`);
  }
  return label;
}

function expiryOf(owner: PrincipalRecord, asked: number | undefined, from: number): number | null {
  const { default: usual, max } = DAYS[owner.kind];
  const days = asked ?? usual;
  if (days === undefined) return null;
  if (!Number.isInteger(days) || days < 1 || days > max) {
    throw identityProblems.key_refused(`a key of "${owner.name}" lives 1 to ${max} days`);
  }
  return from + days * DAY_MS;
}
