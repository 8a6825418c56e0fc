/**
 * What a wrapped value belongs to. The service authenticates it where it can; the provider checks it in any case. Canonical:
 * one context has one text.
 */
export type WrapContext = Readonly<Record<string, string>>;

/**
 * A key in another place that encrypts for us and does not come here. Every method throws `crypto.root_key_unreachable` if a
 * later attempt may succeed, and `crypto.root_key_refused` if it will not.
 */
export interface RemoteWrapper {
  /** As in the configuration: `vault`. */
  readonly provider: string;
  /** The key, as the operator named it. Public. */
  readonly keyId: string;
  wrap(plaintext: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  unwrap(ciphertext: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  /** Moves to the newest version of the key without showing us the plaintext, where the service can. */
  rewrap?(ciphertext: Uint8Array, context: WrapContext): Promise<Uint8Array>;
  close(): Promise<void>;
}
