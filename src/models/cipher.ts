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
}
