import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import * as hostile from '../../examples/hostile.ts';
import { buildPolarity } from '../../examples/polarity.ts';
import { createManualClock } from '../kernel/clock.ts';
import { isProblem, type Problem, type ProblemDefinition } from '../kernel/problem.ts';
import { openDatabase } from '../storage/database.ts';
import { createFileBlobStore } from '../storage/file-blobs.ts';
import { createMemoryStore } from './memory-store.ts';
import type { Inspector } from './onnx/inspector.ts';
import { modelsProblems } from './problems.ts';
import { createRegistry, createRegistryOn, type NewVersion } from './registry.ts';
import type { ModelStore } from './store.ts';
import {
  collect,
  createMemoryBlobs,
  createTestRing,
  sha256,
  streamOf,
  testCipher,
  testInspector,
} from './testing.ts';

const cipher = testCipher;
const polarity = buildPolarity();

async function open({
  store = createMemoryStore(),
  bytesMax = 2 ** 20,
  inspector = testInspector,
}: {
  store?: ModelStore;
  bytesMax?: number;
  inspector?: Inspector;
} = {}) {
  const blobs = createMemoryBlobs();
  const keyRing = createTestRing();
  const clock = createManualClock();
  const deps = { store, blobs, keyRing, cipher, clock, inspector, bytesMax };
  const registry = await createRegistryOn(deps);
  await registry.createProject('fraud');
  const add = (more: Partial<NewVersion> = {}, bytes = polarity) =>
    registry.add({ project: 'fraud', model: 'score', source: streamOf(bytes), createdBy: 'usr_1', ...more });
  return {
    registry,
    add,
    blobs,
    keyRing,
    clock,
  };
}

const is =
  (definition: ProblemDefinition, detail = /./) =>
  (error: unknown): error is Problem =>
    isProblem(error, definition) && detail.test(error.detail);

describe('adding a version', () => {
  test('registers digest, signature and size, and stores nothing readable', async () => {
    const { registry, add, blobs, clock } = await open();
    const version = await add({ description: 'signs' });
    assert.equal(version.digest, sha256(polarity));
    assert.equal(version.bytes, polarity.length);
    assert.equal(version.createdAt, clock.now());
    assert.deepEqual(version.aliases, ['production']);
    assert.deepEqual(version.signature.inputs, [{ name: 'value', type: 'FP32', shape: ['N'] }]);
    assert.equal(registry.getModel('fraud', 'score').description, 'signs');
    const [stored] = blobs.blobs.values();
    assert.ok(stored !== undefined && !Buffer.from(stored).includes('polarity'));
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  });

  test('keeps what the inspection noted', async () => {
    const { add } = await open();
    const { findings } = await add({}, hostile.endlessLoop());
    assert.deepEqual(
      findings.map(({ rule, severity }) => [rule, severity]),
      [['loop', 'warn']],
    );
  });

  test('leaves nothing behind when the file is refused, too large, or breaks off', async () => {
    const { registry, add, blobs } = await open({ bytesMax: 1000 });
    await assert.rejects(add({}, hostile.externalData()), (error) => {
      assert.ok(is(modelsProblems.model_rejected)(error));
      assert.match(String(error.members['findings']), /^external_data: /);
      return true;
    });
    await assert.rejects(add({}, hostile.truncated()), is(modelsProblems.model_rejected));
    await assert.rejects(add({}, new Uint8Array(1001)), is(modelsProblems.artifact_too_large));
    async function* broken() {
      yield polarity.subarray(0, 10);
      throw new Error('the client has gone');
    }
    await assert.rejects(add({ source: broken() }), /the client has gone/);
    assert.equal(blobs.blobs.size, 0);
    assert.deepEqual(registry.listModels(), []);
  });

  test('leaves nothing behind when the inspection breaks off', async () => {
    const inspector = { inspect: () => Promise.reject(modelsProblems.inspection_failed('too long')) };
    const { add, blobs, registry } = await open({ inspector });
    await assert.rejects(add(), is(modelsProblems.inspection_failed));
    assert.equal(blobs.blobs.size, 0);
    assert.deepEqual(registry.listModels(), []);
  });

  test('removes the blob when the row cannot be written', async () => {
    const memory = createMemoryStore();
    const store: ModelStore = { ...memory, addVersion: () => Promise.reject(new Error('disk full')) };
    const { add, blobs } = await open({ store });
    await assert.rejects(add(), /disk full/);
    assert.equal(blobs.blobs.size, 0);
  });

  test('refuses names that are not names, and projects that are not there, before reading a byte', async () => {
    const { registry, add } = await open();
    let reads = 0;
    async function* watched() {
      reads++;
      yield polarity;
    }
    for (const name of ['', 'A', '../x', 'a/b', '-a', 'a-', 'a.b', 'x'.repeat(64)]) {
      await assert.rejects(add({ model: name, source: watched() }), is(modelsProblems.name_invalid));
      await assert.rejects(registry.createProject(name), is(modelsProblems.name_invalid));
    }
    await assert.rejects(add({ alias: '7', source: watched() }), is(modelsProblems.name_invalid));
    await assert.rejects(add({ project: 'other', source: watched() }), is(modelsProblems.project_unknown));
    assert.equal(reads, 0);
  });

  test('versions added at the same time get different numbers', async () => {
    const { add, registry } = await open();
    const added = await Promise.all([add(), add(), add()]);
    assert.deepEqual(new Set(added.map(({ number }) => number)), new Set([1, 2, 3]));
    assert.equal(registry.getModel('fraud', 'score').versions.length, 3);
  });
});

describe('resolving', () => {
  test('by number, by alias, else by the alias production', async () => {
    const { registry, add } = await open();
    await add();
    await add({ alias: 'staging' });
    const numberOf = (more: object) =>
      registry.resolve({ project: 'fraud', model: 'score', ...more })?.number;
    assert.equal(numberOf({}), 1);
    assert.equal(numberOf({ version: 2 }), 2);
    assert.equal(numberOf({ alias: 'staging' }), 2);
    assert.equal(numberOf({ version: 3 }), undefined);
    assert.equal(numberOf({ alias: 'canary' }), undefined);
    assert.equal(registry.resolve({ project: 'fraud', model: 'other' }), undefined);
    assert.equal(registry.resolve({ project: 'fraud', model: '__proto__' }), undefined);
  });

  test('follows an alias that moves, and listeners hear of it until they stop', async () => {
    const { registry, add } = await open();
    await add();
    await add();
    let changes = 0;
    const stop = registry.onChange(() => changes++);
    const alias = { project: 'fraud', model: 'score', alias: 'production', version: 2, by: 'usr_2' };
    await registry.setAlias(alias);
    assert.equal(registry.resolve({ project: 'fraud', model: 'score' })?.number, 2);
    assert.equal(changes, 1);
    stop();
    await registry.removeAlias(alias);
    assert.equal(registry.resolve({ project: 'fraud', model: 'score' }), undefined);
    assert.equal(changes, 1);
    await assert.rejects(registry.removeAlias(alias), is(modelsProblems.alias_unknown));
    await assert.rejects(registry.setAlias({ ...alias, version: 9 }), is(modelsProblems.version_unknown));
    await assert.rejects(registry.setAlias({ ...alias, alias: '12' }), is(modelsProblems.name_invalid));
  });
});

describe('removing', () => {
  test('a version goes with its blob, but not while an alias points at it', async () => {
    const { registry, add, blobs } = await open();
    await add();
    await add();
    await assert.rejects(registry.removeVersion('fraud', 'score', 1), is(modelsProblems.version_in_use));
    const removed = await registry.removeVersion('fraud', 'score', 2);
    assert.equal(blobs.blobs.size, 1);
    assert.throws(() => registry.openArtifact(removed), is(modelsProblems.version_unknown));
    await assert.rejects(registry.removeVersion('fraud', 'score', 2), is(modelsProblems.version_unknown));
    assert.equal((await add()).number, 3);
  });

  test('a model goes with everything', async () => {
    const { registry, add, blobs } = await open();
    await add();
    await add({ alias: 'staging' });
    await registry.removeModel('fraud', 'score');
    assert.equal(blobs.blobs.size, 0);
    await assert.rejects(registry.removeModel('fraud', 'score'), is(modelsProblems.model_unknown));
  });
});

describe('a damaged artifact', () => {
  test('is named wherever the byte is flipped, cut or added', async () => {
    const { registry, add, blobs } = await open();
    const version = await add();
    const [[name, sound] = ['', new Uint8Array()]] = blobs.blobs;
    const damaged = [0, 15, 16, 200, sound.length - 1].map((at) => {
      const bytes = Uint8Array.from(sound);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    });
    const others = [
      sound.subarray(0, -1),
      sound.subarray(0, 16),
      new Uint8Array(),
      Buffer.concat([sound, sound]),
    ];
    for (const bytes of [...damaged, ...others]) {
      blobs.blobs.set(name, bytes);
      await assert.rejects(
        collect(registry.openArtifact(version)),
        is(modelsProblems.artifact_corrupt, /fraud\/score@1 is damaged/),
      );
    }
    blobs.blobs.delete(name);
    await assert.rejects(
      collect(registry.openArtifact(version)),
      is(modelsProblems.artifact_corrupt, /fraud\/score@1 is missing/),
    );
    blobs.blobs.set(name, sound);
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  });

  test('is not passed off as another version, even if it decrypts', async () => {
    const memory = createMemoryStore();
    let swap = false;
    const store: ModelStore = {
      ...memory,
      async load() {
        const content = await memory.load();
        const [one, two] = content.versions;
        if (!swap || one === undefined || two === undefined) return content;
        return { ...content, versions: [{ ...one, blob: two.blob, header: two.header }, two] };
      },
    };
    const { registry, add } = await open({ store });
    await add();
    swap = true;
    await add({}, hostile.failsAtRun());
    const version = registry.getVersion('fraud', 'score', 1);
    await assert.rejects(
      collect(registry.openArtifact(version)),
      is(modelsProblems.artifact_corrupt, /score@1/),
    );
  });

  test('is found by verifyAll among sound ones', async () => {
    const { registry, add, blobs } = await open();
    await add();
    const second = await add({ model: 'other' });
    assert.deepEqual(
      (await registry.verifyAll()).map(({ problem }) => problem),
      [undefined, undefined],
    );
    const name = [...blobs.blobs.keys()][1] ?? '';
    blobs.blobs.set(name, new Uint8Array(100));
    const bad = (await registry.verifyAll()).filter(({ problem }) => problem !== undefined);
    assert.deepEqual(
      bad.map(({ version, problem }) => [version.id, problem?.code]),
      [[second.id, 'models.artifact_corrupt']],
    );
  });

  test('the detail and the cause keep keys out', async () => {
    const { registry, add, blobs, keyRing } = await open();
    const version = await add();
    const secret = keyRing.identity('artifacts', 1);
    for (const name of blobs.blobs.keys()) blobs.blobs.set(name, new Uint8Array(64));
    await assert.rejects(collect(registry.openArtifact(version)), (error) => {
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
        assert.ok(!`${cause.message} ${cause.stack}`.includes(secret));
      }
      return is(modelsProblems.artifact_corrupt)(error);
    });
  });
});

test('artifacts of an older key version still open after the key was rotated', async () => {
  const { registry, add, keyRing } = await open();
  const before = await add();
  keyRing.rotate();
  const after = await add();
  for (const version of [before, after]) {
    assert.deepEqual(await collect(registry.openArtifact(version)), Buffer.from(polarity));
  }
});

test('on files and SQLite: what was added is there after the registry is opened again', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-registry-'));
  const database = await openDatabase(join(directory, 'keep.db'));
  t.after(async () => {
    await database.close();
    await rm(directory, { recursive: true });
  });
  const keyRing = createTestRing();
  const clock = createManualClock();
  const deps = { database, blobs: createFileBlobStore(join(directory, 'blobs')), keyRing, cipher, clock };
  const first = await createRegistry(deps);
  await first.createProject('default');
  const source = streamOf(polarity);
  const added = await first.add({ project: 'default', model: 'polarity', source, createdBy: 'local:root' });
  const second = await createRegistry(deps);
  const found = second.resolve({ project: 'default', model: 'polarity' });
  assert.deepEqual(found, added);
  assert.deepEqual(await collect(second.openArtifact(added)), Buffer.from(polarity));
  assert.deepEqual(
    (await second.verifyAll()).map(({ problem }) => problem),
    [undefined],
  );
});
