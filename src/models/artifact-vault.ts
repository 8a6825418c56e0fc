import { createHash } from 'node:crypto';
import type { KeyRing, VersionUse } from '../crypto/ring/key-ring.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import type { BlobStore, ListedBlob } from '../storage/blobs.ts';
import type { ArtifactCipher } from './cipher.ts';
import { modelsProblems } from './problems.ts';
import type { VersionRecord } from './record.ts';

/** What the registry must remember to open an artifact again. */
export type SealedArtifact = Pick<
  VersionRecord,
  'digest' | 'bytes' | 'blob' | 'payloadBytes' | 'header' | 'keyName' | 'keyVersion'
>;

export interface ArtifactVault {
  /**
   * Encrypts to the active version of the ring key, in one pass and a piece at a time; then, with the blob durable, runs
   * `use`, which writes the row that names it. Until `use` has ended the blob is no stray. What it throws is passed on;
   * the blob stays, for only `use` knows whether a row names it.
   */
  seal<Result>(
    plaintext: AsyncIterable<Uint8Array>,
    use: (artifact: SealedArtifact) => Promise<Result>,
  ): Promise<Result>;
  /**
   * Decrypts and compares the SHA-256 of ciphertext and plaintext. Throws `models.artifact_corrupt`, naming `label`:
   * use nothing of it before it has ended well.
   */
  open(artifact: SealedArtifact, label: string, use?: VersionUse): AsyncGenerator<Uint8Array>;
  /** The header that opens the same payload to the active version of the same ring key. Throws what `open` throws. */
  rewrap(artifact: SealedArtifact, label: string): Promise<Pick<SealedArtifact, 'header' | 'keyVersion'>>;
  /** No error if there is none. */
  discard(blob: string): Promise<void>;
  /** Blobs that no row names and that no `seal` under way will name. `loadNamed` reads what the rows name. */
  strays(loadNamed: () => Promise<ReadonlySet<string>>): Promise<readonly ListedBlob[]>;
}

export interface ArtifactVaultDependencies {
  readonly blobs: BlobStore;
  readonly keyRing: Pick<KeyRing, 'recipient' | 'identity'>;
  readonly cipher: ArtifactCipher;
}

/** Ring key, purpose `wrap`, that artifacts are encrypted to. */
export const ARTIFACTS_KEY = 'artifacts';

export function createArtifactVault({ blobs, keyRing, cipher }: ArtifactVaultDependencies): ArtifactVault {
  /** Blobs that a `seal` has named and whose `use` has not ended. */
  const unfinished = new Set<string>();

  return {
    async seal(plaintext, use) {
      const { version, recipient } = keyRing.recipient(ARTIFACTS_KEY);
      const measured = measure(plaintext);
      const { header, payload } = cipher.encrypt([recipient], measured.bytes);
      const names: string[] = [];
      try {
        const blob = await blobs.put(payload, (name) => {
          names.push(name);
          unfinished.add(name);
        });
        // Throws if the key version was destroyed meanwhile: the artifact would be lost from the start.
        keyRing.identity(ARTIFACTS_KEY, version);
        return await use({
          ...measured.result(),
          blob: blob.name,
          payloadBytes: blob.bytes,
          header,
          keyName: ARTIFACTS_KEY,
          keyVersion: version,
        });
      } finally {
        for (const name of names) unfinished.delete(name);
      }
    },
    async *open(artifact, label, use) {
      const identity = keyRing.identity(artifact.keyName, artifact.keyVersion, use);
      const payload = blobs.read(artifact.blob)[Symbol.asyncIterator]();
      const hash = createHash('sha256');
      try {
        const input = { header: artifact.header, payload: through(payload), identities: [identity] };
        for await (const chunk of cipher.decrypt(input)) {
          hash.update(chunk);
          yield chunk;
        }
        // A cipher may stop at its last chunk; the blob is checked at its last byte.
        if ((await payload.next()).done !== true) throw new Error('bytes after the end of the payload');
        if (hash.digest('hex') !== artifact.digest) throw new Error('another plaintext than was registered');
      } catch (error) {
        throw explain(error, label);
      } finally {
        await payload.return?.();
      }
    },
    async rewrap({ keyName, keyVersion, header }, label) {
      const identities = [keyRing.identity(keyName, keyVersion, { compromised: true })];
      const { version, recipient } = keyRing.recipient(keyName);
      try {
        const moved = await cipher.rewrap(header, { identities, recipients: [recipient] });
        return { header: moved, keyVersion: version };
      } catch (error) {
        throw explain(error, label);
      }
    },
    discard: (blob) => blobs.remove(blob),
    async strays(loadNamed) {
      const listed = await Array.fromAsync(blobs.list());
      // In this order: what was under way before the rows are read is here, what has ended since is in the rows.
      const used = new Set(unfinished);
      const named = await loadNamed();
      return listed.filter(({ name }) => !used.has(name) && !named.has(name));
    },
  };
}

/** Hashes and counts a stream as it passes. */
function measure(source: AsyncIterable<Uint8Array>) {
  const hash = createHash('sha256');
  let bytes = 0;
  async function* pass(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      hash.update(chunk);
      bytes += chunk.length;
      yield chunk;
    }
  }
  return { bytes: pass(), result: () => ({ digest: hash.digest('hex'), bytes }) };
}

/** Yields what is left, and leaves the iterator open. */
async function* through(iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) yield step.value;
}

function explain(error: unknown, label: string): Problem {
  if (error instanceof Error && 'syscall' in error) {
    return modelsProblems.artifact_unreadable(`the artifact of ${label} cannot be read`, { cause: error });
  }
  const how = isProblem(error) && error.code === 'storage.blob_missing' ? 'is missing' : 'is damaged';
  return modelsProblems.artifact_corrupt(`the stored artifact of ${label} ${how}; it is not served`, {
    cause: error,
  });
}
