/** What the registry asks of the crypto room: age files in two parts, the header apart from the payload. */
export interface ArtifactCipher {
  /** The header is complete at once; the payload is encrypted as it is read. */
  encrypt(
    recipients: readonly string[],
    plaintext: AsyncIterable<Uint8Array>,
  ): { readonly header: Uint8Array; readonly payload: AsyncIterable<Uint8Array> };
  /** Throws for a header or payload that was changed or cut; only a stream that ends well is whole. */
  decrypt(input: {
    readonly header: Uint8Array;
    readonly payload: AsyncIterable<Uint8Array>;
    readonly identities: readonly string[];
  }): AsyncIterable<Uint8Array>;
  /** A header for the same payload and other recipients. Throws if it was changed, or opens to none of the identities. */
  rewrap(
    header: Uint8Array,
    keys: { readonly identities: readonly string[]; readonly recipients: readonly string[] },
  ): Promise<Uint8Array>;
}
