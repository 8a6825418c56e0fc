import type { KeyObject } from 'node:crypto';

/** What a ring key may be used for; one key never serves two purposes. */
export type KeyPurpose = 'wrap' | 'mac' | 'sign';

/** Facts about a key that may be shown. */
export interface KeyInfo {
  readonly name: string;
  readonly purpose: KeyPurpose;
  readonly versions: readonly {
    readonly version: number;
    readonly createdAt: number;
    readonly state: KeyState;
  }[];
}

export type KeyState = 'active' | 'decrypt-only' | 'compromised' | 'destroyed';

/**
 * The keep's named keys. All of it lies in `keyring.age`, sealed to the root key, replaced atomically; a change is
 * durable when its promise resolves.
 */
export interface KeyRing {
  list(): readonly KeyInfo[];
  /** Creates version 1 of `name` unless it exists; a second purpose for the same name is refused. */
  ensure(name: string, purpose: KeyPurpose): Promise<void>;
  /** For `wrap` keys: the age recipient (`age1…`) of the active version, to encrypt to. */
  recipient(name: string): { readonly version: number; readonly recipient: string };
  /** For `wrap` keys: the age identity (`AGE-SECRET-KEY-1…`) of a version. Throws `crypto.key_unavailable`. */
  identity(name: string, version: number): string;
  /** For `mac` keys: an HMAC-SHA-256 key. Without `version`, the active one. */
  macKey(name: string, version?: number): { readonly version: number; readonly key: KeyObject };
  /** For `sign` keys: an Ed25519 private key. Without `version`, the active one. */
  signingKey(name: string, version?: number): { readonly version: number; readonly key: KeyObject };
}
