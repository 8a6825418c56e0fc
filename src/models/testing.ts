import { createHash } from 'node:crypto';
import { decryptDetached, encryptDetached, rewrapHeader } from '../crypto/age/age.ts';
import { generateIdentity } from '../crypto/age/keys.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { BlobStore } from '../storage/blobs.ts';
import { storageProblems } from '../storage/problems.ts';
import type { ArtifactCipher } from './cipher.ts';
import { inspectOnnx } from './onnx/inspect.ts';
import type { Inspector } from './onnx/inspector.ts';

/** age, as the keep composes it. */
export const testCipher: ArtifactCipher = {
  encrypt: encryptDetached,
  decrypt: decryptDetached,
  rewrap: rewrapHeader,
};

/** A ring with one wrap key, `artifacts`, in memory, which can be turned to a new version. */
export function createTestRing(): Pick<KeyRing, 'ensure' | 'list' | 'recipient' | 'identity'> & {
  rotate(): void;
  /** Makes a version unusable, as if it were destroyed. */
  destroy(version: number): void;
} {
  const keys: ReturnType<typeof generateIdentity>[] = [];
  const destroyed = new Set<number>();
  return {
    list: () => [
      {
        name: 'artifacts',
        purpose: 'wrap',
        versions: keys.map((_, at) => ({
          version: at + 1,
          createdAt: 0,
          state: at + 1 === keys.length ? 'active' : 'decrypt-only',
        })),
      },
    ],
    async ensure() {
      if (keys.length === 0) keys.push(generateIdentity());
    },
    recipient: () => ({ version: keys.length, recipient: keys.at(-1)?.recipient ?? '' }),
    identity(_, version) {
      const key = destroyed.has(version) ? undefined : keys[version - 1];
      if (key === undefined) throw cryptoProblems.key_unavailable(`version ${version} of artifacts is gone`);
      return key.identity;
    },
    rotate: () => void keys.push(generateIdentity()),
    destroy: (version) => void destroyed.add(version),
  };
}

/** Judges in this thread, at once. */
export const testInspector: Inspector = {
  async inspect(file) {
    const inspection = inspectOnnx(await collect(file));
    const { verdict, findings } = inspection;
    if (verdict === 'block') return { verdict, findings };
    return { verdict, findings, signature: inspection.facts.signature };
  },
};

/** Blobs in memory, for a test to look into and to damage. */
export function createMemoryBlobs(modifiedAt = 0): BlobStore & {
  readonly blobs: Map<string, Uint8Array>;
  /** Time of each blob; a new one gets `modifiedAt`. */
  readonly modified: Map<string, number>;
} {
  const blobs = new Map<string, Uint8Array>();
  const modified = new Map<string, number>();
  return {
    blobs,
    modified,
    async put(source, onName) {
      const bytes = await collect(source);
      const name = sha256(bytes);
      onName?.(name);
      blobs.set(name, bytes);
      modified.set(name, modifiedAt);
      return { name, bytes: bytes.length };
    },
    async *read(name) {
      const bytes = blobs.get(name);
      if (bytes === undefined) throw storageProblems.blob_missing(`blob ${name} is not in the store`);
      for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
      if (sha256(bytes) !== name) throw storageProblems.blob_corrupt(`blob ${name} is damaged`);
    },
    has: async (name) => blobs.has(name),
    remove: async (name) => void blobs.delete(name),
    async *list() {
      for (const [name, bytes] of blobs) {
        yield { name, bytes: bytes.length, modifiedAt: modified.get(name) ?? modifiedAt };
      }
    },
    removeUnfinished: async () => {},
  };
}

export async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces);
}

export async function* streamOf(bytes: Uint8Array, size = 50): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
