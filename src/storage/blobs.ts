/** Where artifact payloads lie. A blob is named by the SHA-256 of its bytes, so it can be checked without a key. */
export interface BlobStore {
  /**
   * Stores the stream. When it resolves the blob is durable under its name; when it rejects nothing is left behind.
   * `onName` hears the name before `list` can show it.
   */
  put(source: AsyncIterable<Uint8Array>, onName?: (name: string) => void): Promise<StoredBlob>;
  /**
   * The blob's bytes. Throws `storage.blob_missing` if there is none, and `storage.blob_corrupt` after the last byte
   * if they do not have the digest that names them: use nothing of it before the iteration has ended well.
   */
  read(name: string): AsyncIterable<Uint8Array>;
  has(name: string): Promise<boolean>;
  /** Removes it; no error if there is none. */
  remove(name: string): Promise<void>;
  list(): AsyncIterable<ListedBlob>;
  /** Removes what an interrupted `put` left. Only for who has the store alone: another's `put` would lose its file. */
  removeUnfinished(): Promise<void>;
}

export interface StoredBlob {
  /** SHA-256 of the bytes, lower-case hex. */
  readonly name: string;
  readonly bytes: number;
}

export interface ListedBlob extends StoredBlob {
  /** When its bytes were written, milliseconds since 1970 UTC. */
  readonly modifiedAt: number;
}
