import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import type { BlobStore } from './blobs.ts';
import { createFileBlobStore } from './file-blobs.ts';
import { storageProblems } from './problems.ts';

async function* chunksOf(...chunks: readonly string[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk);
}

async function temporaryStore(): Promise<{ root: string; store: BlobStore }> {
  const root = await mkdtemp(join(tmpdir(), 'modelkeep-'));
  return { root, store: createFileBlobStore(root) };
}

async function readAll(store: BlobStore, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of store.read(name)) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

describe('file blobs', () => {
  it('names a blob by the SHA-256 of its bytes and reads it back', async () => {
    const { root, store } = await temporaryStore();
    const stored = await store.put(chunksOf('cipher', 'text'));
    assert.equal(stored.name, createHash('sha256').update('ciphertext').digest('hex'));
    assert.equal(stored.bytes, 10);
    assert.equal(await readAll(store, stored.name), 'ciphertext');
    const [listed, ...others] = await Array.fromAsync(store.list());
    assert.deepEqual(others, []);
    const { mtimeMs } = await stat(join(root, stored.name.slice(0, 2), stored.name));
    assert.deepEqual(listed, { ...stored, modifiedAt: Math.floor(mtimeMs) });
  });

  it('tells the name before the blob lies under it', async () => {
    const { root, store } = await temporaryStore();
    const told: unknown[] = [];
    const { name } = await store.put(chunksOf('ciphertext'), (own) => {
      told.push(
        own,
        readdirSync(root).filter((entry) => !entry.startsWith('.')),
      );
    });
    assert.deepEqual(told, [name, []]);
  });

  it('removes what an interrupted put left, and no blob', async () => {
    const { root, store } = await temporaryStore();
    await store.removeUnfinished();
    const { name } = await store.put(chunksOf('ciphertext'));
    await writeFile(join(root, '.incoming-00ff'), 'half');
    await store.removeUnfinished();
    assert.deepEqual(await readdir(root), [name.slice(0, 2)]);
    assert.equal(await readAll(store, name), 'ciphertext');
  });

  it('leaves nothing behind when the source fails', async () => {
    const { root, store } = await temporaryStore();
    const broken = async function* (): AsyncIterable<Uint8Array> {
      yield Buffer.from('half');
      throw new Error('the pipe broke');
    };
    await assert.rejects(store.put(broken()), /the pipe broke/);
    assert.deepEqual(await readdir(root), []);
  });

  it('names a blob whose bytes were changed', async () => {
    const { root, store } = await temporaryStore();
    const { name } = await store.put(chunksOf('ciphertext'));
    const path = join(root, name.slice(0, 2), name);
    const bytes = await readFile(path);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    await writeFile(path, bytes);
    await assert.rejects(readAll(store, name), (error) => isProblem(error, storageProblems.blob_corrupt));
  });

  it('says that a blob is missing, also for names that are paths', async () => {
    const { store } = await temporaryStore();
    for (const name of ['0'.repeat(64), '../../etc/passwd', 'A'.repeat(64)]) {
      await assert.rejects(readAll(store, name), (error) => isProblem(error, storageProblems.blob_missing));
    }
  });
});
