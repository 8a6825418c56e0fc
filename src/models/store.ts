import type { AliasRecord, ModelRecord, ProjectRecord, RegistryContent, VersionRecord } from './record.ts';

/** The alias that the first version of a model gets, and that a caller means who names neither version nor alias. */
export const DEFAULT_ALIAS = 'production';

/**
 * Where projects, models, versions and aliases are kept. Every change is one transaction: all of it is durable when
 * the promise resolves, nothing of it has happened if it rejects.
 */
export interface ModelStore {
  /** All rows, as of one moment. */
  load(): Promise<RegistryContent>;
  /** Throws `models.project_exists`. */
  addProject(project: ProjectRecord): Promise<void>;
  /**
   * Adds the next version of `project`/`model`, and the model if it is new. Answers the version's number, which no
   * version of the model had before. Throws `models.project_unknown`.
   */
  addVersion(addition: VersionAddition): Promise<number>;
  /** Points the alias at a version of the same model. Throws `models.version_unknown` if it has gone meanwhile. */
  setAlias(alias: AliasRecord): Promise<void>;
  /** False if there is none. */
  removeAlias(modelId: string, name: string): Promise<boolean>;
  /** Throws `models.version_in_use` while an alias points at it; false if there is none. */
  removeVersion(versionId: string): Promise<boolean>;
  /**
   * Gives each version the new artifact, if it still has the blob that the replacement was made from; answers the ids of
   * those that it gave.
   */
  replaceArtifacts(replacements: readonly ArtifactReplacement[]): Promise<readonly string[]>;
  /** Removes the model, its versions and aliases; answers the blobs that nothing names any more. */
  removeModel(modelId: string): Promise<readonly string[]>;
}

export interface VersionAddition {
  /** Used if there is no such model yet; else only a description that is not empty replaces the old one. */
  readonly model: ModelRecord;
  readonly version: Omit<VersionRecord, 'modelId' | 'number'>;
  /** undefined: `production` if it is the model's first version ever, else none. null: none. */
  readonly alias: string | null | undefined;
}

export interface ArtifactReplacement {
  readonly versionId: string;
  /** The blob that the version has had. */
  readonly blob: string;
  /** Another encryption of the same plaintext, or another header of the same blob. */
  readonly artifact: Pick<
    VersionRecord,
    'blob' | 'payloadBytes' | 'header' | 'keyName' | 'keyVersion' | 'sealedAt'
  >;
}
