import { createHash } from 'node:crypto';
import { Secret } from '../../kernel/secret.ts';
import { encodeBech32 } from '../age/bech32.ts';
import { recipientOf } from '../age/keys.ts';

/** The key that opens the key ring. */
export interface RootKey {
  /** Public: 16 hex digits of the SHA-256 of the recipient. */
  readonly id: string;
  /** The age identity. */
  readonly identity: Secret<string>;
}

/** What a provider holds. */
export interface RootKeys {
  readonly current: RootKey;
  /**
   * The key before, if the provider has one. Asked for only when the key ring is not sealed to the current one, so that a
   * remote key that is retired already holds up no start.
   */
  readonly previous: () => Promise<RootKey | undefined>;
}

/** What may be shown of a provider. */
export interface RootKeyDescription {
  readonly provider: string;
  /** Where the key is, as the operator named it: a file, a variable, a key of a service. */
  readonly place: string;
  /** Files of the keep that belong to the current key, by path. */
  readonly files: readonly string[];
  /** What a backup needs beside the keep's other files, as a person says it. */
  readonly keep: string;
}

export interface ProviderReadiness {
  readonly ready: boolean;
  /** Why not, in words fit for a stranger. */
  readonly reasons: readonly string[];
}

/** Where a keep's root key comes from. */
export interface RootKeyProvider {
  /** Reads the root key. Throws a `crypto.root_key_…` problem if it is not there, not private, not whole, or out of reach. */
  open(): Promise<RootKeys>;
  /** For a new keep: makes the root key, or reads it where it must be there already. Never overwrites one. */
  initialise(): Promise<RootKey>;
  /**
   * Makes another root key; the one before moves to the previous slot, which must be free. The next start uses it. Durable
   * when the promise resolves. Absent where the operator sets the slots: credentials, environment.
   */
  rotate?(): Promise<RootKey>;
  /** Wraps the same root key anew, under the newest version of the remote key. */
  rewrap?(): Promise<void>;
  describe(): RootKeyDescription;
  /** Whether a start would find the root key now. Never throws. */
  check(): Promise<ProviderReadiness>;
  close(): Promise<void>;
}

export const READY: ProviderReadiness = { ready: true, reasons: [] };

export function rootKeyOf(identity: Secret<string>): RootKey {
  return { id: rootKeyId(recipientOf(identity.reveal())), identity };
}

export function rootKeyId(recipient: string): string {
  return createHash('sha256').update(recipient).digest('hex').slice(0, 16);
}

/** The age identity whose X25519 scalar is `bytes`, which are erased. */
export function identityFromBytes(bytes: Uint8Array): Secret<string> {
  const identity = encodeBech32('age-secret-key-', bytes).toUpperCase();
  bytes.fill(0);
  return new Secret(identity);
}
