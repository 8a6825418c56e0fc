import { createHash } from 'node:crypto';
import { generateIdentity } from '../crypto/age/keys.ts';
import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { BlobStore } from '../storage/blobs.ts';
import { storageProblems } from '../storage/problems.ts';

/** A ring of wrap keys in memory, which can be turned to a new version. */
export function createTestRing(): Pick<KeyRing, 'ensure' | 'recipient' | 'identity'> & { rotate(): void } {
  const keys: ReturnType<typeof generateIdentity>[] = [];
  return {
    async ensure() {
      if (keys.length === 0) keys.push(generateIdentity());
    },
    recipient: () => ({ version: keys.length, recipient: keys.at(-1)?.recipient ?? '' }),
    identity: (_, version) => keys[version - 1]?.identity ?? '',
    rotate: () => void keys.push(generateIdentity()),
  };
}

/** Blobs in memory, for a test to look into and to damage. */
export function createMemoryBlobs(): BlobStore & { readonly blobs: Map<string, Uint8Array> } {
  const blobs = new Map<string, Uint8Array>();
  return {
    blobs,
    async put(source) {
      const bytes = await collect(source);
      const name = sha256(bytes);
      blobs.set(name, bytes);
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
      yield* blobs.keys();
    },
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
