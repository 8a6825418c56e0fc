import { identityProblems } from './problems.ts';
import type { Problem } from '../kernel/problem.ts';

/** Why a credential was refused. For the audit log and the operator; a caller never learns it. */
export type FailureReason =
  | 'missing'
  | 'malformed'
  | 'unknown_principal'
  | 'wrong_password'
  | 'no_password'
  | 'unreadable_hash'
  | 'disabled_principal'
  | 'changed_meanwhile'
  | 'bad_checksum'
  | 'unknown_key'
  | 'wrong_owner'
  | 'revoked_key'
  | 'expired_key'
  | 'key_not_yet_valid'
  | 'throttled_source'
  | 'throttled_account'
  /** A detection's answer: see the alert. */
  | 'throttled_response'
  | 'blocked';

/** The private cause of `identity.unauthenticated` and `identity.throttled`. It holds ids, never a secret. */
export class AuthenticationFailure extends Error {
  override readonly name = 'AuthenticationFailure';
  readonly reason: FailureReason;
  readonly principalId: string | undefined;
  readonly credentialId: string | undefined;
  readonly tags: FailureTags;

  constructor(
    reason: FailureReason,
    {
      principalId,
      credentialId,
      ...tags
    }: { principalId?: string; credentialId?: string } & FailureTags = {},
  ) {
    super(reason);
    this.reason = reason;
    this.principalId = principalId;
    this.credentialId = credentialId;
    this.tags = tags;
  }
}

/** Keyed hashes of what was presented: they tell one stale secret from many guesses, and nothing else. */
export interface FailureTags {
  readonly secretTag?: string | undefined;
  /** Of a name that belongs to nobody. */
  readonly claimTag?: string | undefined;
}

/** One answer for every reason: same status, headers and text. */
export function unauthenticated(failure: AuthenticationFailure): Problem {
  return identityProblems.unauthenticated('a valid credential is needed', {
    cause: failure,
    headers: { 'www-authenticate': 'Basic realm="modelkeep", Bearer' },
  });
}

export function throttled(failure: AuthenticationFailure, waitMs: number): Problem {
  return identityProblems.throttled('too many failed attempts; wait before the next one', {
    cause: failure,
    headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
  });
}
