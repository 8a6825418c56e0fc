import { createHash } from 'node:crypto';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { ArtifactCipher } from './cipher.ts';
import { modelsProblems } from './problems.ts';
import type { VersionRecord } from './record.ts';

/** What the registry must remember to open an artifact again. */
export type SealedArtifact = Pick<
  VersionRecord,
  'digest' | 'bytes' | 'blob' | 'payloadBytes' | 'header' | 'keyName' | 'keyVersion'
>;

export interface ArtifactVault {
  /** Encrypts to the active version of the ring key. When it resolves the blob is durable. */
  seal(plaintext: Uint8Array): Promise<SealedArtifact>;
  /**
   * Decrypts and compares the SHA-256 of ciphertext and plaintext. Throws `models.artifact_corrupt`, naming `label`:
   * use nothing of it before it has ended well.
   */
  open(artifact: SealedArtifact, label: string): AsyncIterable<Uint8Array>;
  /** No error if there is none. */
  discard(blob: string): Promise<void>;
  /** Removes every blob that `named` does not name: what a crash between blob and row left behind. */
  sweep(named: ReadonlySet<string>): Promise<void>;
}

export interface ArtifactVaultDependencies {
  readonly blobs: BlobStore;
  readonly keyRing: Pick<KeyRing, 'recipient' | 'identity'>;
  readonly cipher: ArtifactCipher;
}

/** Ring key, purpose `wrap`, that artifacts are encrypted to. */
export const ARTIFACTS_KEY = 'artifacts';

export function createArtifactVault({ blobs, keyRing, cipher }: ArtifactVaultDependencies): ArtifactVault {
  return {
    async seal(plaintext) {
      const { version, recipient } = keyRing.recipient(ARTIFACTS_KEY);
      const digest = sha256(plaintext);
      const { header, payload } = cipher.encrypt([recipient], pieces(plaintext));
      const blob = await blobs.put(payload);
      return {
        digest,
        bytes: plaintext.length,
        blob: blob.name,
        payloadBytes: blob.bytes,
        header,
        keyName: ARTIFACTS_KEY,
        keyVersion: version,
      };
    },
    async *open(artifact, label) {
      const identity = keyRing.identity(artifact.keyName, artifact.keyVersion);
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
    discard: (blob) => blobs.remove(blob),
    async sweep(named) {
      for await (const blob of blobs.list()) if (!named.has(blob)) await blobs.remove(blob);
    },
  };
}

/** Yields what is left, and leaves the iterator open. */
async function* through(iterator: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  for (let step = await iterator.next(); step.done !== true; step = await iterator.next()) yield step.value;
}

const PIECE_BYTES = 1 << 20;

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
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
