import type { Version, VersionReference } from './version.ts';

/** What serving asks of the registry. */
export interface ServableModels {
  /** Synchronous and from memory: it is on the path of every prediction. Undefined if there is no such version. */
  resolve(reference: VersionReference): Version | undefined;
  /**
   * The plaintext artifact. The SHA-256 of ciphertext and plaintext are compared with the registry's: on any mismatch the
   * iteration throws `models.artifact_corrupt`, naming the version. Use nothing of it before it has ended well.
   */
  openArtifact(version: Version): AsyncIterable<Uint8Array>;
  /** Called after a version or alias changed; returns the way to stop. */
  onChange(listener: () => void): () => void;
}
