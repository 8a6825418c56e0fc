import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import { modelsProblems } from './problems.ts';
import type { ModelRecord, VersionRecord } from './record.ts';
import type { ModelStore } from './store.ts';

/** What every implementation of the store must do. */
export function modelStoreContract(name: string, open: () => Promise<ModelStore>): void {
  const opened = async (): Promise<ModelStore> => {
    const store = await open();
    await store.addProject(fraud);
    return store;
  };
  describe(name, () => {
    test('gives back projects, models, versions and aliases as they were stored', async () => {
      const store = await opened();
      assert.equal(await store.addVersion({ model: score, version: version(1), alias: undefined }), 1);
      const content = await store.load();
      assert.deepEqual(content.projects, [fraud]);
      assert.deepEqual(content.models, [score]);
      const [stored] = content.versions;
      assert.deepEqual(
        { ...stored, header: null },
        { ...version(1), header: null, modelId: 'mdl_1', number: 1 },
      );
      assert.deepEqual([...(stored?.header ?? [])], [1, 2, 3]);
      assert.deepEqual(content.aliases, [
        { modelId: 'mdl_1', name: 'production', versionId: 'ver_1', updatedAt: 101, updatedBy: 'usr_1' },
      ]);
    });

    test('refuses a project twice, and a version in a project that is not there', async () => {
      const store = await opened();
      await assert.rejects(store.addProject({ ...fraud, id: 'prj_2' }), is(modelsProblems.project_exists));
      const elsewhere = { model: { ...score, project: 'other' }, version: version(1), alias: undefined };
      await assert.rejects(store.addVersion(elsewhere), is(modelsProblems.project_unknown));
      assert.deepEqual((await store.load()).models, []);
    });

    test('numbers versions 1, 2, 3, and never uses a number twice', async () => {
      const store = await opened();
      const add = (id: number): Promise<number> =>
        store.addVersion({ model: { ...score, id: `mdl_${id}` }, version: version(id), alias: null });
      assert.deepEqual([await add(1), await add(2)], [1, 2]);
      assert.equal(await store.removeVersion('ver_2'), true);
      assert.equal(await store.removeVersion('ver_2'), false);
      assert.equal(await add(3), 3);
      assert.deepEqual(
        (await store.load()).versions.map(({ number, modelId }) => [number, modelId]),
        [
          [1, 'mdl_1'],
          [3, 'mdl_1'],
        ],
      );
    });

    test('production goes to the first version ever, unless another alias or none is asked for', async () => {
      const store = await opened();
      const aliasesAfter = async (
        id: number,
        model: string,
        alias: string | null | undefined,
      ): Promise<string[]> => {
        const own = { ...score, id: `mdl_${model}`, name: model };
        await store.addVersion({ model: own, version: version(id), alias });
        const { aliases } = await store.load();
        return aliases
          .filter(({ modelId }) => modelId === own.id)
          .map(({ name, versionId }) => `${name} ${versionId}`);
      };
      assert.deepEqual(await aliasesAfter(1, 'a', undefined), ['production ver_1']);
      assert.deepEqual(await aliasesAfter(2, 'a', undefined), ['production ver_1']);
      assert.deepEqual(await aliasesAfter(3, 'a', 'production'), ['production ver_3']);
      assert.deepEqual(await aliasesAfter(4, 'b', 'staging'), ['staging ver_4']);
      assert.deepEqual(await aliasesAfter(5, 'c', null), []);
      assert.deepEqual(await aliasesAfter(6, 'c', undefined), []);
    });

    test('a description replaces the old one only where one is given', async () => {
      const store = await opened();
      await store.addVersion({ model: score, version: version(1), alias: null });
      await store.addVersion({ model: { ...score, description: '' }, version: version(2), alias: null });
      assert.equal((await store.load()).models[0]?.description, 'scores');
      await store.addVersion({ model: { ...score, description: 'new' }, version: version(3), alias: null });
      assert.equal((await store.load()).models[0]?.description, 'new');
    });

    test('an alias moves, holds its version, and can be removed once', async () => {
      const store = await opened();
      await store.addVersion({ model: score, version: version(1), alias: undefined });
      await store.addVersion({ model: score, version: version(2), alias: undefined });
      const alias = { modelId: 'mdl_1', name: 'production', updatedAt: 200, updatedBy: 'usr_2' };
      await store.setAlias({ ...alias, versionId: 'ver_2' });
      assert.deepEqual((await store.load()).aliases, [{ ...alias, versionId: 'ver_2' }]);
      await assert.rejects(store.removeVersion('ver_2'), is(modelsProblems.version_in_use));
      await assert.rejects(
        store.setAlias({ ...alias, versionId: 'ver_9' }),
        is(modelsProblems.version_unknown),
      );
      assert.equal(await store.removeVersion('ver_1'), true);
      assert.equal(await store.removeAlias('mdl_1', 'production'), true);
      assert.equal(await store.removeAlias('mdl_1', 'production'), false);
      assert.equal(await store.removeVersion('ver_2'), true);
    });

    test('an alias never points into another model', async () => {
      const store = await opened();
      await store.addVersion({ model: score, version: version(1), alias: null });
      await store.addVersion({
        model: { ...score, id: 'mdl_2', name: 'other' },
        version: version(2),
        alias: null,
      });
      const alias = {
        modelId: 'mdl_1',
        name: 'production',
        versionId: 'ver_2',
        updatedAt: 1,
        updatedBy: 'usr_1',
      };
      await assert.rejects(store.setAlias(alias), is(modelsProblems.version_unknown));
    });

    test('replaces artifacts in one step, but not one that has another blob by now', async () => {
      const store = await opened();
      for (const id of [1, 2, 3]) {
        await store.addVersion({ model: score, version: version(id), alias: null });
      }
      await store.removeVersion('ver_3');
      const artifact = {
        blob: 'blob-new',
        payloadBytes: 43,
        header: Uint8Array.of(4, 5),
        keyName: 'artifacts',
        keyVersion: 2,
        sealedAt: 900,
      };
      const replaced = await store.replaceArtifacts([
        { versionId: 'ver_1', blob: 'blob-1', artifact },
        { versionId: 'ver_2', blob: 'blob-1', artifact },
        { versionId: 'ver_3', blob: 'blob-3', artifact },
      ]);
      assert.deepEqual(replaced, ['ver_1']);
      const [one, two] = (await store.load()).versions;
      assert.deepEqual(
        { ...one, header: [...(one?.header ?? [])] },
        { ...version(1), ...artifact, header: [4, 5], modelId: 'mdl_1', number: 1 },
      );
      assert.deepEqual([two?.blob, two?.keyVersion, two?.sealedAt], ['blob-2', 1, 102]);
    });

    test('a removed model takes its versions and aliases along and names their blobs', async () => {
      const store = await opened();
      await store.addVersion({ model: score, version: version(1), alias: undefined });
      await store.addVersion({ model: score, version: version(2), alias: 'staging' });
      await store.addVersion({
        model: { ...score, id: 'mdl_2', name: 'kept' },
        version: version(3),
        alias: undefined,
      });
      assert.deepEqual([...(await store.removeModel('mdl_1'))].toSorted(), ['blob-1', 'blob-2']);
      const { models, versions, aliases } = await store.load();
      assert.deepEqual([models.length, versions.length, aliases.length], [1, 1, 1]);
      assert.deepEqual(await store.removeModel('mdl_1'), []);
    });
  });
}

const fraud = { id: 'prj_1', name: 'fraud', createdAt: 100 };
const score: ModelRecord = {
  id: 'mdl_1',
  project: 'fraud',
  name: 'score',
  description: 'scores',
  createdBy: 'usr_1',
  createdAt: 100,
};

function version(id: number): Omit<VersionRecord, 'modelId' | 'number'> {
  return {
    id: `ver_${id}`,
    format: 'onnx',
    digest: 'd'.repeat(64),
    bytes: 10,
    blob: `blob-${id}`,
    payloadBytes: 42,
    header: Uint8Array.of(1, 2, 3),
    keyName: 'artifacts',
    keyVersion: 1,
    sealedAt: 100 + id,
    signature: { inputs: [{ name: 'x', type: 'FP32', shape: ['N', 3] }], outputs: [] },
    findings: [{ rule: 'loop', severity: 'warn', message: '1 × Loop' }],
    createdBy: 'usr_1',
    createdAt: 100 + id,
  };
}

function is(definition: ProblemDefinition): (error: unknown) => boolean {
  return (error) => isProblem(error, definition);
}
