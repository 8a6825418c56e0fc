import type { ApiKeyRecord, PrincipalRecord } from './record.ts';

/**
 * Where principals and keys are kept. Every method that changes something is one transaction: all of it is durable when
 * the promise resolves, nothing of it has happened if it rejects. The caller serialises changes; reads come from the
 * directory, so `load` is called once.
 */
export interface IdentityStore {
  load(): Promise<{
    readonly principals: readonly PrincipalRecord[];
    readonly keys: readonly ApiKeyRecord[];
  }>;
  /** Throws `identity.name_taken` if a principal of the same kind has the name. */
  insertPrincipal(record: PrincipalRecord): Promise<void>;
  /**
   * Replaces everything but id, kind, name and createdAt. With `revokeKeysAt`, its unrevoked keys are revoked as of
   * that time. A principal that is not there is left so.
   */
  updatePrincipal(record: PrincipalRecord, revokeKeysAt?: number): Promise<void>;
  /** Removes it and all its keys. */
  deletePrincipal(id: string): Promise<void>;
  /** Writes `to` where the password hash is still `from`: a hash at another cost of the same password. */
  replaceHash(id: string, from: string, to: string): Promise<boolean>;

  insertKey(record: ApiKeyRecord): Promise<void>;
  /** The first revocation stands: a later one does not move its time. */
  revokeKey(id: string, at: number): Promise<void>;
  /** Writes the MAC of a key where it is still one under the version `from`: a MAC of the same text. */
  replaceMac(id: string, from: number, to: Pick<ApiKeyRecord, 'mac' | 'macKeyVersion'>): Promise<boolean>;
  /** Times of last use by key id. */
  touchKeys(uses: ReadonlyMap<string, number>): Promise<void>;

  /** Makes this the only setup token. `digest`: SHA-256 of its text. */
  replaceSetupToken(token: { digest: Uint8Array; createdAt: number; expiresAt: number }): Promise<void>;
  /** Claims that the token exists, is unused, and does not expire before `now`. */
  isSetupTokenOpen(digest: Uint8Array, now: number): Promise<boolean>;
  /** Uses up the token and inserts the first user. False, and nothing done, if it is not open or any user exists. */
  completeSetup(digest: Uint8Array, now: number, user: PrincipalRecord): Promise<boolean>;
  /** Takes `completeSetup` back: removes the user and opens the token again. */
  undoSetup(digest: Uint8Array, userId: string): Promise<void>;
}
