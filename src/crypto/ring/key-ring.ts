import type { KeyObject } from 'node:crypto';
import type { SigningAlgorithm } from '../signing-seed.ts';

/**
 * What a ring key may be used for; one key never serves two purposes. `wrap`: an age recipient and identity. `seal`:
 * A256GCM of small values. `mac`: HMAC-SHA-256. `sign`: Ed25519, or ML-DSA-44 instead, as its one user asks.
 */
export type KeyPurpose = 'wrap' | 'seal' | 'mac' | 'sign';

/** Facts about a key that may be shown. */
export interface KeyInfo {
  readonly name: string;
  readonly purpose: KeyPurpose;
  readonly versions: readonly KeyVersionInfo[];
}

export interface KeyVersionInfo {
  readonly version: number;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly state: KeyState;
}

/**
 * `active`: for new data; one version at most. `decrypt-only`: for what it has sealed. `compromised`: as decrypt-only,
 * and only for those who ask for it by name. `destroyed`: its material is gone.
 */
export type KeyState = 'active' | 'decrypt-only' | 'compromised' | 'destroyed';

export interface VersionUse {
  /** Gives a version that is marked compromised too: for what moves data away from it. */
  readonly compromised?: boolean;
}

export interface SigningUse extends VersionUse {
  /** A key is used with one algorithm for life. Default Ed25519. */
  readonly algorithm?: SigningAlgorithm;
}

/**
 * The keep's named keys. All of it lies in `keyring.age`, sealed to the root key, replaced atomically; a change is
 * durable when its promise resolves. Every method reads the ring as it is now, so a caller that does not keep what it
 * was given sees a rotation at once.
 *
 * Without a version a method gives the active one, and counts that as one use; ask anew for each value that is sealed.
 * For a key or version that is not there or was destroyed it throws `crypto.key_unavailable`, for a compromised one
 * `crypto.key_compromised`.
 */
export interface KeyRing {
  list(): readonly KeyInfo[];
  /** Creates version 1 of `name` unless it exists; a second purpose for the same name is refused. */
  ensure(name: string, purpose: KeyPurpose): Promise<void>;
  /** For `wrap` keys: the age recipient (`age1…`) of the active version, to encrypt to. */
  recipient(name: string): { readonly version: number; readonly recipient: string };
  /** For `wrap` keys: the age identity (`AGE-SECRET-KEY-1…`) of a version. */
  identity(name: string, version: number, use?: VersionUse): string;
  /** For `seal` keys: 32 bytes for A256GCM. Throws `crypto.key_exhausted` at the limit of random nonces. */
  sealKey(name: string, version?: number, use?: VersionUse): VersionedKey;
  /** For `mac` keys: an HMAC-SHA-256 key. */
  macKey(name: string, version?: number, use?: VersionUse): VersionedKey;
  /** For `sign` keys: a private key. */
  signingKey(name: string, version?: number, use?: SigningUse): VersionedKey;
}

export interface VersionedKey {
  readonly version: number;
  readonly key: KeyObject;
}

export interface KeyFacts extends KeyInfo {
  /** Days after which a new version is made; null: only when someone asks. */
  readonly rotateDays: number | null;
  /** In ascending order, without gaps. */
  readonly versions: readonly KeyVersionFacts[];
}

export interface KeyVersionFacts extends KeyVersionInfo {
  /** When `state` became what it is, milliseconds since 1970. */
  readonly stateSince: number;
  /**
   * Values sealed with it; kept for `wrap` and `seal` keys, 0 for others. Never less than what was shown before; after
   * a crash it may be more than it was.
   */
  readonly uses: number;
}

/** The ring with what governs the life of its keys. */
export interface ManagedKeyRing extends KeyRing {
  list(): readonly KeyFacts[];
  /** Undefined if there is none. */
  find(name: string): KeyFacts | undefined;
  /** Grows by one with every write. */
  generation(): number;
  /** Throws `crypto.key_exists`. Default of `rotateDays`: 90 for `wrap` and `seal`, null for others. */
  create(name: string, purpose: KeyPurpose, options?: { readonly rotateDays?: number | null }): Promise<void>;
  /** Throws `crypto.rotation_refused` for `sign` keys. */
  setRotateDays(name: string, rotateDays: number | null): Promise<void>;
  /**
   * Makes a new active version; the one before becomes decrypt-only. Of a `sign` key only for someone who tells its
   * verifiers of the new one.
   */
  rotate(name: string): Promise<void>;
  /**
   * Marks a version. Marking the active one compromised makes a new active version in the same write; for `sign` keys it
   * throws `crypto.rotation_refused`. Throws `crypto.key_version_active` for making it decrypt-only: that is what
   * `rotate` does.
   */
  setState(name: string, version: number, state: 'compromised' | 'decrypt-only'): Promise<void>;
  /** The material is gone when this resolves. Throws `crypto.key_version_active`. Destroying again changes nothing. */
  destroy(name: string, version: number): Promise<void>;
  /** Called, and awaited, after each write with the new generation, before the write's own promise resolves. */
  onWrite(listener: (generation: number) => Promise<void>): void;
  /** Writes the use counts that are not written yet. No change is possible afterwards. */
  close(): Promise<void>;
}
