import { modelsProblems } from './problems.ts';
import type { AliasRecord, ModelRecord, ProjectRecord, VersionRecord } from './record.ts';
import { DEFAULT_ALIAS, type ModelStore } from './store.ts';

/** The store without a database, for tests of other rooms. */
export function createMemoryStore(): ModelStore {
  let projects: readonly ProjectRecord[] = [];
  let models: readonly ModelRecord[] = [];
  let versions: readonly VersionRecord[] = [];
  let aliases: readonly AliasRecord[] = [];
  const lastNumbers = new Map<string, number>();

  const putAlias = (alias: AliasRecord): void => {
    aliases = [...aliases.filter((old) => old.modelId !== alias.modelId || old.name !== alias.name), alias];
  };
  return {
    load: async () => ({ projects, models, versions, aliases }),
    async addProject(project) {
      if (projects.some(({ name }) => name === project.name)) {
        throw modelsProblems.project_exists(`the project ${project.name} exists already`);
      }
      projects = [...projects, project];
    },
    async addVersion({ model, version, alias }) {
      if (!projects.some(({ name }) => name === model.project)) {
        throw modelsProblems.project_unknown(`there is no project ${model.project}`);
      }
      const known = models.find(({ project, name }) => project === model.project && name === model.name);
      const described = { ...(known ?? model), description: model.description || (known?.description ?? '') };
      models = [...models.filter((other) => other !== known), described];
      const number = (lastNumbers.get(described.id) ?? 0) + 1;
      lastNumbers.set(described.id, number);
      versions = [...versions, { ...version, modelId: described.id, number }];
      const name = alias === undefined && number === 1 ? DEFAULT_ALIAS : alias;
      if (name !== undefined && name !== null) {
        const { createdAt: updatedAt, createdBy: updatedBy } = version;
        putAlias({ modelId: described.id, name, versionId: version.id, updatedAt, updatedBy });
      }
      return number;
    },
    async setAlias(alias) {
      if (!versions.some(({ id, modelId }) => id === alias.versionId && modelId === alias.modelId)) {
        throw modelsProblems.version_unknown('the version has been removed');
      }
      putAlias(alias);
    },
    async removeAlias(modelId, name) {
      const kept = aliases.filter((alias) => alias.modelId !== modelId || alias.name !== name);
      const removed = kept.length < aliases.length;
      aliases = kept;
      return removed;
    },
    async removeVersion(versionId) {
      const alias = aliases.find((candidate) => candidate.versionId === versionId);
      if (alias !== undefined) throw modelsProblems.version_in_use(`the alias ${alias.name} points at it`);
      const kept = versions.filter(({ id }) => id !== versionId);
      const removed = kept.length < versions.length;
      versions = kept;
      return removed;
    },
    async replaceArtifacts(replacements) {
      const replaced: string[] = [];
      for (const { versionId, blob, artifact } of replacements) {
        if (!versions.some((version) => version.id === versionId && version.blob === blob)) continue;
        versions = versions.map((version) =>
          version.id === versionId ? { ...version, ...artifact } : version,
        );
        replaced.push(versionId);
      }
      return replaced;
    },
    async removeModel(modelId) {
      const blobs = versions.filter((version) => version.modelId === modelId).map(({ blob }) => blob);
      models = models.filter(({ id }) => id !== modelId);
      versions = versions.filter((version) => version.modelId !== modelId);
      aliases = aliases.filter((alias) => alias.modelId !== modelId);
      lastNumbers.delete(modelId);
      return blobs;
    },
  };
}
