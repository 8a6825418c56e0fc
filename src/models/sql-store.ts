import type { Transaction } from 'kysely';
import { type Members, toColumns, toMembers } from '../storage/columns.ts';
import type { Database } from '../storage/database.ts';
import type { Schema } from '../storage/schema.ts';
import type { Finding } from './onnx/inspect.ts';
import { modelsProblems } from './problems.ts';
import type { AliasRecord, ModelRecord, VersionRecord } from './record.ts';
import { DEFAULT_ALIAS, type ModelStore, type VersionAddition } from './store.ts';
import type { ModelSignature } from './version.ts';

/** The store in the keep's database. */
export function createSqlStore(database: Database): ModelStore {
  return {
    load: () =>
      database.query.transaction().execute(async (transaction) => {
        const projects = await transaction.selectFrom('projects').selectAll().orderBy('name').execute();
        const models = await transaction
          .selectFrom('models')
          .selectAll()
          .orderBy('project')
          .orderBy('name')
          .execute();
        const versions = await transaction.selectFrom('versions').selectAll().orderBy('number').execute();
        const aliases = await transaction.selectFrom('aliases').selectAll().orderBy('name').execute();
        return {
          projects: toMembers(projects),
          models: toMembers(models),
          versions: toMembers(versions).map(versionOf),
          aliases: toMembers(aliases),
        };
      }),
    addProject: (project) =>
      database.write(async (transaction) => {
        if (await hasProject(transaction, project.name)) {
          throw modelsProblems.project_exists(`the project ${project.name} exists already`);
        }
        await transaction.insertInto('projects').values(toColumns(project)).execute();
      }),
    addVersion: (addition) => database.write((transaction) => addVersion(transaction, addition)),
    setAlias: (alias) =>
      database.write(async (transaction) => {
        const version = await transaction
          .selectFrom('versions')
          .select('id')
          .where('id', '=', alias.versionId)
          .where('model_id', '=', alias.modelId)
          .executeTakeFirst();
        if (version === undefined) throw modelsProblems.version_unknown('the version has been removed');
        await putAlias(transaction, alias);
      }),
    removeAlias: (modelId, name) =>
      database.write(async (transaction) => {
        const { numDeletedRows } = await transaction
          .deleteFrom('aliases')
          .where('model_id', '=', modelId)
          .where('name', '=', name)
          .executeTakeFirst();
        return numDeletedRows > 0n;
      }),
    removeVersion: (versionId) =>
      database.write(async (transaction) => {
        const alias = await transaction
          .selectFrom('aliases')
          .select('name')
          .where('version_id', '=', versionId)
          .executeTakeFirst();
        if (alias !== undefined) throw modelsProblems.version_in_use(`the alias ${alias.name} points at it`);
        const { numDeletedRows } = await transaction
          .deleteFrom('versions')
          .where('id', '=', versionId)
          .executeTakeFirst();
        return numDeletedRows > 0n;
      }),
    replaceArtifacts: (replacements) =>
      database.write(async (transaction) => {
        const replaced: string[] = [];
        for (const { versionId, blob, artifact } of replacements) {
          const { numUpdatedRows } = await transaction
            .updateTable('versions')
            .set(toColumns(artifact))
            .where('id', '=', versionId)
            .where('blob', '=', blob)
            .executeTakeFirst();
          if (numUpdatedRows > 0n) replaced.push(versionId);
        }
        return replaced;
      }),
    removeModel: (modelId) =>
      database.write(async (transaction) => {
        const blobs = await transaction
          .selectFrom('versions')
          .select('blob')
          .where('model_id', '=', modelId)
          .execute();
        await transaction.deleteFrom('aliases').where('model_id', '=', modelId).execute();
        await transaction.deleteFrom('versions').where('model_id', '=', modelId).execute();
        await transaction.deleteFrom('models').where('id', '=', modelId).execute();
        await transaction.deleteFrom('settings').where('name', '=', lastNumberKey(modelId)).execute();
        return blobs.map(({ blob }) => blob);
      }),
  };
}

async function addVersion(transaction: Transaction<Schema>, addition: VersionAddition): Promise<number> {
  const { model, version, alias } = addition;
  if (!(await hasProject(transaction, model.project))) {
    throw modelsProblems.project_unknown(`there is no project ${model.project}`);
  }
  const modelId = await ensureModel(transaction, model);
  const number = await nextNumber(transaction, modelId);
  await transaction
    .insertInto('versions')
    .values(rowOf({ ...version, modelId, number }))
    .execute();
  const name = alias === undefined && number === 1 ? DEFAULT_ALIAS : alias;
  if (name !== undefined && name !== null) {
    const { createdAt: updatedAt, createdBy: updatedBy } = version;
    await putAlias(transaction, { modelId, name, versionId: version.id, updatedAt, updatedBy });
  }
  return number;
}

async function hasProject(transaction: Transaction<Schema>, name: string): Promise<boolean> {
  const row = await transaction
    .selectFrom('projects')
    .select('id')
    .where('name', '=', name)
    .executeTakeFirst();
  return row !== undefined;
}

/** The id of the model, which is made if it is new. */
async function ensureModel(transaction: Transaction<Schema>, model: ModelRecord): Promise<string> {
  const known = await transaction
    .selectFrom('models')
    .select('id')
    .where('project', '=', model.project)
    .where('name', '=', model.name)
    .executeTakeFirst();
  if (known === undefined) {
    await transaction.insertInto('models').values(toColumns(model)).execute();
    return model.id;
  }
  if (model.description !== '') {
    const { description } = model;
    await transaction.updateTable('models').set({ description }).where('id', '=', known.id).execute();
  }
  return known.id;
}

/** Counted apart from the rows: an entry of the audit log that says "version 3" must mean one version for ever. */
async function nextNumber(transaction: Transaction<Schema>, modelId: string): Promise<number> {
  const name = lastNumberKey(modelId);
  const last = await transaction
    .selectFrom('settings')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst();
  const number = Number(last?.value ?? 0) + 1;
  const value = String(number);
  await transaction
    .insertInto('settings')
    .values({ name, value })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
    .execute();
  return number;
}

function lastNumberKey(modelId: string): string {
  return `models.last-number.${modelId}`;
}

async function putAlias(transaction: Transaction<Schema>, alias: AliasRecord): Promise<void> {
  const row = toColumns(alias);
  const { model_id: _model, name: _name, ...change } = row;
  await transaction
    .insertInto('aliases')
    .values(row)
    .onConflict((conflict) => conflict.columns(['model_id', 'name']).doUpdateSet(change))
    .execute();
}

function versionOf(row: Members<Schema['versions']>): VersionRecord {
  return {
    ...row,
    signature: JSON.parse(row.signature) as ModelSignature,
    findings: JSON.parse(row.findings) as Finding[],
  };
}

function rowOf(record: VersionRecord): Schema['versions'] {
  return {
    ...toColumns(record),
    signature: JSON.stringify(record.signature),
    findings: JSON.stringify(record.findings),
  };
}
