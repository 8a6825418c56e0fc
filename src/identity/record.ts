import type { Grant } from '../kernel/principal.ts';

/** A user or a service account, as stored. Times are milliseconds since 1970 UTC. */
export interface PrincipalRecord {
  readonly id: string;
  readonly kind: 'user' | 'service_account';
  readonly name: string;
  readonly display: string;
  readonly state: 'active' | 'disabled';
  /** PHC string; null without a password, and always for a service account. */
  readonly password: string | null;
  /** Grows with every change of the password or the state. */
  readonly credentialVersion: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** An API key, as stored: all but its secret. */
export interface ApiKeyRecord {
  readonly id: string;
  /** The ten public characters of `mk_<public>_…`. */
  readonly publicId: string;
  /** HMAC-SHA-256 of the whole text under version `macKeyVersion` of the ring key `api-keys`. */
  readonly mac: Uint8Array;
  readonly macKeyVersion: number;
  readonly ownerId: string;
  readonly label: string;
  /** null: no limit beyond the owner's rights. */
  readonly scopes: readonly Grant[] | null;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly notBefore: number;
  readonly expiresAt: number | null;
  readonly revokedAt: number | null;
  readonly lastUsedAt: number | null;
}

/** A principal without what proves it: what services answer. */
export type Account = Omit<PrincipalRecord, 'password' | 'credentialVersion'> & {
  readonly hasPassword: boolean;
};

/** An API key without its MAC: what services answer. */
export type ApiKey = Omit<ApiKeyRecord, 'mac' | 'macKeyVersion'>;

/** Whom a binding or a key may name. */
export interface Subject {
  readonly id: string;
  readonly kind: 'user' | 'service_account';
  readonly name: string;
}

export function toAccount(record: PrincipalRecord): Account {
  const { id, kind, name, display, state, createdAt, updatedAt } = record;
  return { id, kind, name, display, state, hasPassword: record.password !== null, createdAt, updatedAt };
}

export function toApiKey(record: ApiKeyRecord): ApiKey {
  const { id, publicId, ownerId, label, scopes, createdAt, createdBy, notBefore } = record;
  const { expiresAt, revokedAt, lastUsedAt } = record;
  return {
    id,
    publicId,
    ownerId,
    label,
    scopes,
    createdAt,
    createdBy,
    notBefore,
    expiresAt,
    revokedAt,
    lastUsedAt,
  };
}
