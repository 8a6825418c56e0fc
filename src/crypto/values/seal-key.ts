import type { KeyObject } from 'node:crypto';

/** Where the keys of sealed values come from; the key ring is one. */
export interface SealKeySource {
  /**
   * An AES-256 key: the given version, or the active one to seal with. Throws `crypto.key_unavailable` for a name, purpose
   * or version that is not to be had. A version marked compromised is given to those who ask for it so, and to no others.
   */
  sealKey(name: string, version?: number, use?: SealKeyUse): SealKey;
}

export interface SealKeyUse {
  readonly compromised?: boolean;
}

export interface SealKey {
  readonly version: number;
  readonly key: KeyObject;
}
