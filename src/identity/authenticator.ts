import type { Responses } from '../audit/detect/responses.ts';
import type { Tags } from '../audit/detect/tags.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import type { Problem } from '../kernel/problem.ts';
import type { Secret } from '../kernel/secret.ts';
import type { MacKeys } from './api-keys.ts';
import {
  AuthenticationFailure,
  type FailureReason,
  throttled,
  unauthenticated,
} from './authentication-failure.ts';
import { parseAuthorization, type Presented } from './authorization-header.ts';
import type { Directory } from './directory.ts';
import { createKeyCheck } from './key-check.ts';
import type { PasswordHasher, Verdict } from './password/hasher.ts';
import type { ApiKeyRecord, PrincipalRecord } from './record.ts';
import { sourceKey } from './source-key.ts';
import type { Throttle } from './throttle.ts';
import type { VerifiedCache } from './verified-cache.ts';

export interface Authenticator {
  /**
   * Who sends this `Authorization` header: `Basic user:password`, `Basic name:mk_…` of a user or service account, or
   * `Bearer mk_…`. Throws `identity.unauthenticated` (one answer for every reason; the reason is in the cause, an
   * AuthenticationFailure), `identity.throttled`, or `identity.busy`. Asks no database.
   */
  authenticate(authorization: string | undefined, source: { readonly address: string }): Promise<Caller>;
}

export function createAuthenticator({
  directory,
  hasher,
  macKeys,
  throttle,
  verified,
  clock,
  groupsOf,
  tags,
  judge = () => 'pass',
  onKeyUsed = () => {},
  onStaleHash = () => {},
  onStaleMac = () => {},
}: {
  directory: Pick<Directory, 'user' | 'byId' | 'keyByPublicId'>;
  hasher: Pick<PasswordHasher, 'verify'>;
  macKeys: MacKeys;
  throttle: Throttle;
  verified: VerifiedCache;
  clock: Pick<Clock, 'now'>;
  /** Ids of all groups of a principal, nested ones included. */
  groupsOf: (principalId: string) => readonly string[];
  /** Marks what is refused, so that detections can count different guesses. */
  tags?: Pick<Tags, 'secret' | 'claim'>;
  /** What detections ask to be done about a visitor. */
  judge?: Responses['verdict'];
  onKeyUsed?: (key: ApiKeyRecord) => void;
  /** The key was right, and its MAC is under another version than the active one. */
  onStaleMac?: (key: ApiKeyRecord, text: Secret<string>) => void;
  /** The password was right, and its hash should be made anew. */
  onStaleHash?: (user: PrincipalRecord, password: Secret<string>) => void;
}): Authenticator {
  /** Guesses being hashed, by proof: the same password sent on ten connections at once is one guess. */
  const inFlight = new Map<string, Promise<void>>();
  const isKeyOf = createKeyCheck();

  return {
    async authenticate(authorization, { address }) {
      const presented = parseAuthorization(authorization);
      if (presented.kind === 'api_key') return byApiKey(presented, address);
      if (presented.kind === 'password') return byPassword(presented, address);
      if (presented.kind === 'missing') throw refuse('missing');
      throw refuseSource(address, new AuthenticationFailure(presented.kind));
    },
  };

  function byApiKey(presented: Extract<Presented, { kind: 'api_key' }>, address: string): Caller {
    const record = directory.keyByPublicId(presented.publicId);
    const isKey = isKeyOf(presented.text.reveal(), record, macKeys.key(record?.macKeyVersion));
    if (record === undefined || !isKey) {
      const secretTag = tags?.secret(presented.text.reveal());
      throw refuseSource(address, new AuthenticationFailure('unknown_key', { secretTag }));
    }
    const owner = directory.byId(record.ownerId);
    const reason = keyFlaw(record, owner, presented.name);
    const ids = { principalId: record.ownerId, credentialId: record.id };
    if (reason !== undefined || owner === undefined) {
      const secretTag = tags?.secret(presented.text.reveal());
      throw refuseSource(
        address,
        new AuthenticationFailure(reason ?? 'unknown_principal', { ...ids, secretTag }),
      );
    }
    const verdict = judge({ address, ...ids, isProven: true });
    // Like any refused key: another answer would tell that this one is right.
    if (verdict !== 'pass' && verdict.kind === 'block')
      throw refuseSource(address, new AuthenticationFailure('blocked', ids));
    slowDown(verdict, ids);
    onKeyUsed(record);
    if (record.macKeyVersion !== macKeys.active().version) onStaleMac(record, presented.text);
    const { id, scopes } = record;
    return {
      principal: principalOf(owner),
      credential: scopes === null ? { kind: 'api_key', id } : { kind: 'api_key', id, scopes },
    };
  }

  function keyFlaw(
    key: ApiKeyRecord,
    owner: PrincipalRecord | undefined,
    name: string | undefined,
  ): FailureReason | undefined {
    if (owner === undefined) return 'unknown_principal';
    if (name !== undefined && name !== owner.name && name !== owner.id) return 'wrong_owner';
    if (key.revokedAt !== null) return 'revoked_key';
    const now = clock.now();
    if (key.expiresAt !== null && now >= key.expiresAt) return 'expired_key';
    if (now < key.notBefore) return 'key_not_yet_valid';
    return owner.state === 'active' ? undefined : 'disabled_principal';
  }

  async function byPassword(
    { name, password }: Extract<Presented, { kind: 'password' }>,
    address: string,
  ): Promise<Caller> {
    // Before the cache: else a blocked source could go on guessing at a password that someone behind it has verified.
    const wait = throttle.sourceWait(address);
    if (wait > 0) throw throttled(new AuthenticationFailure('throttled_source'), wait);

    const user = directory.user(name);
    const ids = user === undefined ? {} : { principalId: user.id, credentialId: `password:${user.id}` };
    const verdict = judge({ address, ...ids });
    slowDown(verdict, ids);
    // Blocked, a right password costs and gets what a wrong one does: else the answer would tell that the name is somebody's.
    const isBlocked = verdict !== 'pass';
    const proof = verified.proof({
      id: user?.id ?? `?${name}`,
      credentialVersion: user?.credentialVersion ?? 0,
      source: sourceKey(address),
      password: password.reveal(),
    });
    if (isBlocked || user === undefined || user.state !== 'active' || !verified.has(proof)) {
      const key = isBlocked ? `blocked ${proof}` : proof;
      let guess = inFlight.get(key);
      if (guess === undefined) {
        guess = verify(name, user, password, proof, { address, isBlocked }).finally(() =>
          inFlight.delete(key),
        );
        inFlight.set(key, guess);
      }
      await guess;
    }
    const current = directory.user(name);
    if (current === undefined) throw refuse('changed_meanwhile');
    const proven = judge({ address, ...ids, isProven: true });
    slowDown(proven, ids);
    if (proven !== 'pass') throw refuse('blocked', ids);
    return {
      principal: principalOf(current),
      credential: { kind: 'password', id: `password:${current.id}` },
    };
  }

  /** Resolves if the password is right for the user as it is now. Hashes in every case, or fails before in every case. */
  async function verify(
    name: string,
    user: PrincipalRecord | undefined,
    password: Secret<string>,
    proof: string,
    { address, isBlocked }: { readonly address: string; readonly isBlocked: boolean },
  ): Promise<void> {
    const ids =
      user === undefined
        ? { claimTag: tags?.claim(name) }
        : { principalId: user.id, credentialId: `password:${user.id}` };
    const attempt = throttle.begin(address, name);
    if (attempt.kind !== 'attempt') {
      const reason = attempt.kind === 'source' ? 'throttled_source' : 'throttled_account';
      const secretTag = tags?.secret(password.reveal());
      throw throttled(new AuthenticationFailure(reason, { ...ids, secretTag }), attempt.waitMs);
    }
    let verdict: Verdict;
    try {
      verdict = await hasher.verify(password.reveal(), user?.id ?? UNKNOWN_USER, user?.password ?? null);
    } catch (error) {
      attempt.cancel();
      throw error;
    }
    const reason = isBlocked ? 'blocked' : passwordFlaw(verdict, user);
    if (reason !== undefined || user === undefined) {
      attempt.fail();
      // Of a password that may be right, no mark is left.
      if (reason === 'blocked') throw refuse(reason, ids);
      throw refuse(reason ?? 'unknown_principal', { ...ids, secretTag: tags?.secret(password.reveal()) });
    }
    attempt.succeed();
    verified.add(proof);
    if (verdict === 'match_stale') onStaleHash(user, password);
  }

  function passwordFlaw(verdict: Verdict, user: PrincipalRecord | undefined): FailureReason | undefined {
    if (user === undefined) return 'unknown_principal';
    if (user.password === null) return 'no_password';
    if (verdict === 'unreadable') return 'unreadable_hash';
    if (verdict === 'mismatch') return 'wrong_password';
    if (user.state !== 'active') return 'disabled_principal';
    // Hashing took a while: what holds is the record of now, not of then.
    const current = directory.byId(user.id);
    return current?.state === 'active' && current.credentialVersion === user.credentialVersion
      ? undefined
      : 'changed_meanwhile';
  }

  function refuseSource(address: string, failure: AuthenticationFailure): Problem {
    const wait = throttle.sourceWait(address);
    if (wait > 0) return throttled(failure, wait);
    throttle.sourceFailed(address);
    return unauthenticated(failure);
  }

  function principalOf({ kind, id, name }: PrincipalRecord): Caller['principal'] {
    return { kind, id, name, groups: groupsOf(id) };
  }
}

/** The associated data of the dummy hash; as long as a real id, so that the work is the same. */
const UNKNOWN_USER = 'usr_00000000000000000000000000';

function refuse(
  reason: FailureReason,
  marks?: ConstructorParameters<typeof AuthenticationFailure>[1],
): Problem {
  return unauthenticated(new AuthenticationFailure(reason, marks));
}

function slowDown(
  verdict: ReturnType<Responses['verdict']>,
  ids: { principalId?: string; credentialId?: string },
): void {
  if (verdict === 'pass' || verdict.kind === 'block') return;
  throw throttled(new AuthenticationFailure('throttled_response', ids), verdict.waitMs);
}
