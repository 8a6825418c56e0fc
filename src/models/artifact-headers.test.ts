import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { buildPolarity } from '../../examples/polarity.ts';
import type { MoveResult } from '../crypto/ring/wrapped-place.ts';
import { createManualClock } from '../kernel/clock.ts';
import { openDatabase } from '../storage/database.ts';
import { storageProblems } from '../storage/problems.ts';
import { createMemoryStore } from './memory-store.ts';
import { createRegistryOn } from './registry.ts';
import { createSqlStore } from './sql-store.ts';
import type { ModelStore } from './store.ts';
import {
  collect,
  createMemoryBlobs,
  createTestRing,
  streamOf,
  testCipher,
  testInspector,
} from './testing.ts';

const polarity = buildPolarity();
const KEY = 'artifacts';

async function open({ store: kept = createMemoryStore() }: { store?: ModelStore } = {}) {
  const blobs = createMemoryBlobs();
  const keyRing = createTestRing();
  const clock = createManualClock();
  const deps = { store: kept, blobs, keyRing, cipher: testCipher, clock, inspector: testInspector };
  const registry = await createRegistryOn(deps);
  await registry.createProject('fraud');
  return {
    registry,
    place: registry.artifactHeaders,
    blobs,
    keyRing,
    clock,
    add: (model: string) =>
      registry.add({ project: 'fraud', model, source: streamOf(polarity), createdBy: 'usr_1' }),
    rows: async () => (await kept.load()).versions,
    reopen: (more: Partial<typeof deps> = {}) => createRegistryOn({ ...deps, ...more }),
    assertSound: async (expected: number) => {
      const checks = await registry.verifyAll();
      assert.equal(checks.length, expected);
      for (const { problem } of checks) assert.equal(problem, undefined);
    },
  };
}

const NOTHING: MoveResult = { moved: 0, failures: [] };

describe('artifact headers as a place under ring keys', () => {
  test('counts the artifacts of each version of the key', async () => {
    const { place, add, keyRing } = await open();
    assert.deepEqual(await place.usage(), []);
    await add('a');
    await add('b');
    keyRing.rotate();
    await add('c');
    assert.deepEqual(await place.usage(), [
      { key: KEY, version: 1, items: 2 },
      { key: KEY, version: 2, items: 1 },
    ]);
  });

  test('rewrap moves headers in batches, touches no blob, and the old key is not needed any more', async () => {
    const { place, add, keyRing, blobs, rows, assertSound } = await open();
    for (const model of ['a', 'b', 'c']) await add(model);
    keyRing.rotate();
    await add('d');
    keyRing.rotate();
    const before = new Map(blobs.blobs);
    const headers = new Map((await rows()).map(({ id, header }) => [id, Buffer.from(header).toString()]));
    assert.deepEqual(await place.rewrap('other', 9), NOTHING);
    assert.deepEqual(await place.rewrap(KEY, 3), { moved: 3, failures: [] });
    assert.deepEqual(await place.rewrap(KEY, 3), { moved: 1, failures: [] });
    assert.deepEqual(await place.rewrap(KEY, 3), NOTHING);
    assert.deepEqual(await place.usage(), [{ key: KEY, version: 3, items: 4 }]);
    for (const { id, header } of await rows()) {
      assert.notEqual(Buffer.from(header).toString(), headers.get(id));
    }
    assert.deepEqual(blobs.blobs, before);
    keyRing.destroy(1);
    keyRing.destroy(2);
    await assertSound(4);
  });

  test('what cannot be moved is named, and the rest is moved', async () => {
    const kept = createMemoryStore();
    const { place, add, keyRing, rows } = await open({ store: kept });
    await add('gone');
    keyRing.rotate();
    await add('damaged');
    await add('sound');
    keyRing.rotate();
    keyRing.destroy(1);
    const damaged = (await rows())[1];
    assert.ok(damaged !== undefined);
    const header = Uint8Array.from(damaged.header);
    header[60] = (header[60] ?? 0) ^ 1;
    await kept.replaceArtifacts([
      { versionId: damaged.id, blob: damaged.blob, artifact: { ...damaged, header } },
    ]);
    const { moved, failures } = await place.rewrap(KEY, 1);
    assert.equal(moved, 1);
    assert.deepEqual(failures, [
      { item: 'fraud/gone@1', reason: 'version 1 of artifacts is gone' },
      {
        item: 'fraud/damaged@1',
        reason: 'the stored artifact of fraud/damaged@1 is damaged; it is not served',
      },
    ]);
    assert.equal((await place.rewrap(KEY, 1)).moved, 0);
    assert.deepEqual(
      (await rows()).map(({ keyVersion }) => keyVersion),
      [1, 2, 3],
    );
  });

  test('reencrypt gives every artifact a new file key and blob, once, whatever its version was', async () => {
    const { place, add, keyRing, blobs, clock, rows, assertSound } = await open();
    await add('a');
    keyRing.rotate();
    await add('b');
    const before = new Map(blobs.blobs);
    clock.advance(1000);
    const since = clock.now();
    assert.deepEqual(await place.reencrypt(KEY, since, 1), { moved: 1, failures: [] });
    await assertSound(2);
    clock.step(since - 5000);
    assert.deepEqual(await place.reencrypt(KEY, since, 5), { moved: 1, failures: [] });
    assert.deepEqual(await place.reencrypt(KEY, since, 5), NOTHING);
    assert.deepEqual(await place.usage(), [{ key: KEY, version: 2, items: 2 }]);
    assert.equal(blobs.blobs.size, 2);
    for (const name of blobs.blobs.keys()) assert.ok(!before.has(name));
    assert.deepEqual(
      (await rows()).map(({ sealedAt }) => sealedAt),
      [since, since],
    );
    keyRing.destroy(1);
    await assertSound(2);
  });

  test('a damaged or missing artifact is not re-encrypted; it is named, and the rest goes on', async () => {
    const { place, add, blobs, clock, registry } = await open();
    await add('flipped');
    await add('missing');
    const sound = await add('sound');
    const [flipped = '', missing = ''] = blobs.blobs.keys();
    const bytes = blobs.blobs.get(flipped) ?? new Uint8Array();
    bytes[200] = (bytes[200] ?? 0) ^ 1;
    blobs.blobs.delete(missing);
    clock.advance(1);
    const { moved, failures } = await place.reencrypt(KEY, clock.now(), 10);
    assert.equal(moved, 1);
    assert.deepEqual(
      failures.map(({ item }) => item),
      ['fraud/flipped@1', 'fraud/missing@1'],
    );
    assert.match(failures[1]?.reason ?? '', /is missing/);
    assert.deepEqual(await collect(registry.openArtifact(sound)), Buffer.from(polarity));
    assert.equal(blobs.blobs.size, 2);
    assert.ok(blobs.blobs.has(flipped));
  });

  test('an artifact that is being read while it is re-encrypted is read to its end', async () => {
    const { place, add, clock, registry } = await open();
    const version = await add('a');
    const begun = registry.openArtifact(version)[Symbol.asyncIterator]();
    const notBegun = registry.openArtifact(version);
    const first = await begun.next();
    clock.advance(1);
    await place.reencrypt(KEY, clock.now(), 1);
    const rest = await collect({ [Symbol.asyncIterator]: () => begun });
    assert.deepEqual(Buffer.concat([first.value as Uint8Array, rest]), Buffer.from(polarity));
    assert.deepEqual(await collect(notBegun), Buffer.from(polarity));
  });
});

describe('a move that is killed', () => {
  test('before the row is switched leaves the old artifact, and the new blob as a stray', async () => {
    const kept = createMemoryStore();
    let alive = false;
    const mortal: ModelStore = {
      ...kept,
      replaceArtifacts: (replacements) =>
        alive ? kept.replaceArtifacts(replacements) : Promise.reject(new Error('killed')),
    };
    const { place, add, blobs, clock, keyRing, registry, assertSound } = await open({ store: mortal });
    await add('a');
    keyRing.rotate();
    clock.advance(1);
    await assert.rejects(place.rewrap(KEY, 5), /killed/);
    await assert.rejects(place.reencrypt(KEY, clock.now(), 5), /killed/);
    assert.equal(blobs.blobs.size, 2);
    assert.equal((await registry.strays()).length, 1);
    await assertSound(1);
    alive = true;
    assert.equal((await place.reencrypt(KEY, clock.now(), 5)).moved, 1);
    await registry.removeStrays();
    assert.equal(blobs.blobs.size, 1);
    await assertSound(1);
  });

  test('after the row is switched leaves the new artifact, and the old blob as a stray', async () => {
    const kept = createMemoryStore();
    let loads = Number.POSITIVE_INFINITY;
    const mortal: ModelStore = {
      ...kept,
      load: () => (loads-- > 0 ? kept.load() : Promise.reject(new Error('killed'))),
    };
    const { place, add, blobs, clock, reopen } = await open({ store: mortal });
    await add('a');
    const [old = ''] = blobs.blobs.keys();
    clock.advance(1);
    loads = 1;
    await assert.rejects(place.reencrypt(KEY, clock.now(), 5), /killed/);
    loads = Number.POSITIVE_INFINITY;
    const registry = await reopen();
    assert.deepEqual(
      (await registry.strays()).map(({ name }) => name),
      [old],
    );
    assert.deepEqual(
      (await registry.verifyAll()).map(({ problem }) => problem),
      [undefined],
    );
    assert.deepEqual(await registry.artifactHeaders.reencrypt(KEY, clock.now(), 5), NOTHING);
  });

  test('by a full disk ends the work instead of blaming the artifact; what was done stays done', async () => {
    const kept = createMemoryStore();
    const { add, blobs, clock, reopen, rows } = await open({ store: kept });
    await add('a');
    clock.advance(1);
    await add('b');
    let puts = 1;
    const full: typeof blobs = {
      ...blobs,
      put: (source, onName) =>
        puts-- > 0
          ? blobs.put(source, onName)
          : Promise.reject(storageProblems.not_writable('the artifact could not be stored')),
    };
    clock.advance(1);
    const { artifactHeaders } = await reopen({ blobs: full });
    await assert.rejects(artifactHeaders.reencrypt(KEY, clock.now(), 5), /could not be stored/);
    assert.deepEqual(
      (await rows()).map(({ sealedAt }) => sealedAt === clock.now()),
      [true, false],
    );
    assert.equal((await (await reopen()).artifactHeaders.reencrypt(KEY, clock.now(), 5)).moved, 1);
  });

  test('while its version is removed leaves nothing of it, and goes on with the next', async () => {
    const kept = createMemoryStore();
    let victims = 1;
    const racing: ModelStore = {
      ...kept,
      async replaceArtifacts(replacements) {
        for (const { versionId } of replacements) if (victims-- > 0) await kept.removeVersion(versionId);
        return await kept.replaceArtifacts(replacements);
      },
    };
    const { place, registry, blobs, clock, keyRing, rows } = await open({ store: racing });
    for (const model of ['a', 'b', 'c']) {
      const source = streamOf(polarity);
      await registry.add({ project: 'fraud', model, source, createdBy: 'usr_1', alias: null });
      clock.advance(1);
    }
    const old = [...blobs.blobs.keys()];
    await place.reencrypt(KEY, clock.now(), 1);
    assert.deepEqual([...blobs.blobs.keys()], old);
    keyRing.rotate();
    victims = 1;
    assert.deepEqual(await place.rewrap(KEY, 1), { moved: 1, failures: [] });
    assert.deepEqual(
      (await rows()).map(({ keyVersion }) => keyVersion),
      [2],
    );
  });
});

test('in the database a batch of headers moves as a whole or not at all', async (t) => {
  const database = await openDatabase(':memory:');
  t.after(() => database.close());
  const { place, add, keyRing, assertSound } = await open({ store: createSqlStore(database) });
  await add('a');
  const { id } = await add('b');
  keyRing.rotate();
  await sql`create trigger broken before update on versions when new.id = ${sql.lit(id)}
    begin select raise(abort, 'the disk broke'); end`.execute(database.query);
  await assert.rejects(place.rewrap(KEY, 10), /the disk broke/);
  assert.deepEqual(await place.usage(), [{ key: KEY, version: 1, items: 2 }]);
  await sql`drop trigger broken`.execute(database.query);
  assert.deepEqual(await place.rewrap(KEY, 10), { moved: 2, failures: [] });
  assert.deepEqual(await place.usage(), [{ key: KEY, version: 2, items: 2 }]);
  await assertSound(2);
});
