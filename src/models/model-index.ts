import type { Finding } from './onnx/inspect.ts';
import type { ModelRecord, ProjectRecord, RegistryContent, VersionRecord } from './record.ts';
import { DEFAULT_ALIAS } from './store.ts';
import type { Version, VersionReference } from './version.ts';

/** A version with what its inspection noted. */
export interface RegisteredVersion extends Version {
  readonly findings: readonly Finding[];
}

/** A model with its versions, the oldest first. */
export interface RegisteredModel extends ModelRecord {
  readonly versions: readonly RegisteredVersion[];
}

/** The registry in memory: every question is a lookup or two. Rebuilt as a whole after a change. */
export interface ModelIndex {
  readonly projects: readonly ProjectRecord[];
  readonly models: readonly RegisteredModel[];
  model(project: string, name: string): RegisteredModel | undefined;
  resolve(reference: VersionReference): RegisteredVersion | undefined;
  /** The stored row behind a version. */
  record(versionId: string): VersionRecord | undefined;
}

export function createModelIndex({ projects, models, versions, aliases }: RegistryContent): ModelIndex {
  const records = new Map(versions.map((record) => [record.id, record]));
  const versionsByModel = Map.groupBy(versions, ({ modelId }) => modelId);
  const aliasesByVersion = Map.groupBy(aliases, ({ versionId }) => versionId);
  const entries = new Map<string, Entry>();
  for (const model of models) {
    const registered = (versionsByModel.get(model.id) ?? [])
      .toSorted((one, other) => one.number - other.number)
      .map((record) =>
        publicVersion(
          record,
          model,
          aliasesByVersion.get(record.id)?.map(({ name }) => name),
        ),
      );
    entries.set(keyOf(model.project, model.name), {
      model: { ...model, versions: registered },
      byNumber: new Map(registered.map((version) => [version.number, version])),
      byAlias: new Map(registered.flatMap((version) => version.aliases.map((alias) => [alias, version]))),
    });
  }
  return {
    projects: projects.toSorted((one, other) => compare(one.name, other.name)),
    models: [...entries.keys()].toSorted(compare).flatMap((key) => entries.get(key)?.model ?? []),
    model: (project, name) => entries.get(keyOf(project, name))?.model,
    resolve({ project, model, version, alias = DEFAULT_ALIAS }) {
      const entry = entries.get(keyOf(project, model));
      return version === undefined ? entry?.byAlias.get(alias) : entry?.byNumber.get(version);
    },
    record: (versionId) => records.get(versionId),
  };
}

interface Entry {
  readonly model: RegisteredModel;
  readonly byNumber: ReadonlyMap<number, RegisteredVersion>;
  readonly byAlias: ReadonlyMap<string, RegisteredVersion>;
}

function publicVersion(
  record: VersionRecord,
  model: ModelRecord,
  aliases: readonly string[] = [],
): RegisteredVersion {
  return Object.freeze({
    id: record.id,
    project: model.project,
    model: model.name,
    number: record.number,
    format: record.format,
    digest: record.digest,
    bytes: record.bytes,
    signature: record.signature,
    findings: record.findings,
    createdBy: record.createdBy,
    createdAt: record.createdAt,
    aliases: aliases.toSorted(compare),
  });
}

/** Names hold no slash, so two names make one key. */
function keyOf(project: string, model: string): string {
  return `${project}/${model}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
