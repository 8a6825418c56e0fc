import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { buildPolarity } from '../../examples/polarity.ts';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { openDatabase } from '../storage/database.ts';
import { createFileBlobStore } from '../storage/file-blobs.ts';
import { createMemoryStore } from './memory-store.ts';
import type { RegisteredVersion } from './model-index.ts';
import { createRegistry, createRegistryOn, type Registry } from './registry.ts';
import type { VersionAddition } from './store.ts';
import {
  collect,
  createMemoryBlobs,
  createTestRing,
  streamOf,
  testCipher as cipher,
  testInspector,
} from './testing.ts';

const polarity = buildPolarity();

function add(registry: Registry): Promise<RegisteredVersion> {
  const source = streamOf(polarity);
  return registry.add({ project: 'fraud', model: 'score', source, createdBy: 'usr_1' });
}

describe('stray blobs', () => {
  test('are kept and reported when the registry opens, and removed on demand only', async () => {
    const blobs = createMemoryBlobs();
    const clock = createManualClock();
    const store = createMemoryStore();
    const deps = { store, blobs, keyRing: createTestRing(), cipher, clock, inspector: testInspector };
    const first = await createRegistryOn(deps);
    await first.createProject('fraud');
    const version = await add(first);
    const { name } = await blobs.put(streamOf(Uint8Array.of(1, 2, 3)));
    const warnings: unknown[] = [];
    const log = {
      ...silentLog,
      warn: (event: string, fields?: object) => void warnings.push([event, fields]),
    };
    const registry = await createRegistryOn({ ...deps, log });
    assert.deepEqual(warnings, [['models.stray_blobs', { blobs: 1, bytes: 3 }]]);
    assert.equal(blobs.blobs.size, 2);
    const stray = { name, bytes: 3, modifiedAt: 0 };
    assert.deepEqual(await registry.strays(), [stray]);
    assert.deepEqual(await registry.removeStrays(0), []);
    assert.deepEqual(await registry.removeStrays(clock.now()), [stray]);
    assert.deepEqual(await registry.strays(), []);
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  });

  test('are not what an addition under way has written, which no removal takes away', async () => {
    const stores = createMemoryStore();
    const seen: unknown[] = [];
    const held: { registry?: Registry } = {};
    const look = async (): Promise<void> =>
      void seen.push(await held.registry?.strays(), await held.registry?.removeStrays());
    const blobs = createMemoryBlobs();
    const deps = {
      keyRing: createTestRing(),
      cipher,
      clock: createManualClock(),
      inspector: {
        async inspect(file: AsyncIterable<Uint8Array>, length: number) {
          await look();
          return await testInspector.inspect(file, length);
        },
      },
      store: {
        ...stores,
        async addVersion(addition: VersionAddition) {
          await look();
          return await stores.addVersion(addition);
        },
      },
      blobs: {
        ...blobs,
        async put(source: AsyncIterable<Uint8Array>, onName?: (name: string) => void) {
          const stored = await blobs.put(source, onName);
          await look();
          return stored;
        },
      },
    };
    const registry = await createRegistryOn(deps);
    held.registry = registry;
    await registry.createProject('fraud');
    const version = await add(registry);
    assert.deepEqual(seen, [[], [], [], [], [], []]);
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  });
});

test('a database put back to an older copy loses no artifact: the newer one, put back, serves it again', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-registry-'));
  t.after(() => rm(directory, { recursive: true }));
  const path = join(directory, 'keep.db');
  const blobs = join(directory, 'blobs');
  const keyRing = createTestRing();
  const clock = createManualClock();
  async function withRegistry<Result>(work: (registry: Registry) => Promise<Result>): Promise<Result> {
    const database = await openDatabase(path);
    try {
      const deps = { database, blobs: createFileBlobStore(blobs), keyRing, cipher, clock };
      return await work(await createRegistry({ ...deps, inspector: testInspector }));
    } finally {
      await database.close();
    }
  }
  await withRegistry(async (registry) => {
    await registry.createProject('fraud');
    await add(registry);
  });
  await copyFile(path, join(directory, 'older.db'));
  await withRegistry(add);
  await copyFile(path, join(directory, 'newer.db'));

  await copyFile(join(directory, 'older.db'), path);
  await writeFile(join(blobs, '.incoming-0123456789abcdef'), 'half an artifact');
  const [stray] = await withRegistry(async (registry) => {
    assert.equal(registry.getModel('fraud', 'score').versions.length, 1);
    return await registry.strays();
  });
  assert.ok(stray !== undefined && stray.bytes > polarity.length && stray.modifiedAt > 0);
  assert.equal((await readdir(blobs)).filter((name) => name.startsWith('.')).length, 0);

  await copyFile(join(directory, 'newer.db'), path);
  await withRegistry(async (registry) => {
    assert.deepEqual(await registry.strays(), []);
    const version = registry.getVersion('fraud', 'score', 2);
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  });
});
