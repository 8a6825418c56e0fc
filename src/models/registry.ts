import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import type { BlobStore } from '../storage/blobs.ts';
import type { Database } from '../storage/database.ts';
import { ARTIFACTS_KEY, createArtifactVault } from './artifact-vault.ts';
import type { ServableModels } from './artifacts.ts';
import type { ArtifactCipher } from './cipher.ts';
import { createModelIndex, type RegisteredModel, type RegisteredVersion } from './model-index.ts';
import { assertName } from './name.ts';
import { inspectOnnx } from './onnx/inspect.ts';
import { modelsProblems } from './problems.ts';
import type { ProjectRecord } from './record.ts';
import { createSqlStore } from './sql-store.ts';
import type { ModelStore } from './store.ts';
import type { Version, VersionReference } from './version.ts';

/** Projects, models, versions and aliases. Reads are from memory; a change is durable when its promise resolves. */
export interface Registry extends ServableModels {
  resolve(reference: VersionReference): RegisteredVersion | undefined;
  /** Throws `models.name_invalid`, `models.project_exists`. */
  createProject(name: string): Promise<ProjectRecord>;
  /** By name. */
  listProjects(): readonly ProjectRecord[];
  /** By project and name. */
  listModels(): readonly RegisteredModel[];
  findModel(project: string, model: string): RegisteredModel | undefined;
  /** Throws `models.model_unknown`. */
  getModel(project: string, model: string): RegisteredModel;
  /** Throws `models.model_unknown`, `models.version_unknown`. */
  getVersion(project: string, model: string, number: number): RegisteredVersion;
  /**
   * Inspects, encrypts and registers a model file as the next version. Throws `models.model_rejected`,
   * `models.artifact_too_large`, `models.project_unknown`, `models.name_invalid`; then nothing is left behind.
   */
  add(addition: NewVersion): Promise<RegisteredVersion>;
  /** Moves or makes the alias. Throws what `getVersion` throws, and `models.name_invalid`. */
  setAlias(alias: AliasChange): Promise<RegisteredVersion>;
  /** Throws `models.model_unknown`, `models.alias_unknown`. */
  removeAlias(alias: Omit<AliasChange, 'version' | 'by'>): Promise<void>;
  /** Answers what was removed. Throws what `getVersion` throws, and `models.version_in_use`. */
  removeVersion(project: string, model: string, number: number): Promise<RegisteredVersion>;
  /** Removes the model with its versions and aliases. Throws `models.model_unknown`. */
  removeModel(project: string, model: string): Promise<RegisteredModel>;
  /** Reads, decrypts and compares every artifact. */
  verifyAll(): Promise<readonly ArtifactCheck[]>;
}

export interface NewVersion {
  readonly project: string;
  readonly model: string;
  /** Of the model; empty or absent keeps the one it has. */
  readonly description?: string;
  readonly source: AsyncIterable<Uint8Array>;
  /** Principal id. */
  readonly createdBy: string;
  /** undefined: `production` for the model's first version ever, else none. null: none. */
  readonly alias?: string | null;
}

export interface AliasChange {
  readonly project: string;
  readonly model: string;
  readonly alias: string;
  readonly version: number;
  /** Principal id. */
  readonly by: string;
}

export interface ArtifactCheck {
  readonly version: RegisteredVersion;
  /** Absent: the artifact is sound. */
  readonly problem?: Problem;
}

export interface RegistryDependencies {
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly keyRing: Pick<KeyRing, 'ensure' | 'recipient' | 'identity'>;
  readonly cipher: ArtifactCipher;
  readonly clock: Clock;
  /** Largest model file that is accepted; it is held in memory while it is registered. Default 1 GiB. */
  readonly bytesMax?: number;
}

/** The registry in the keep's database. Removes blobs that an interrupted `add` or `remove` left behind. */
export function createRegistry({ database, ...rest }: RegistryDependencies): Promise<Registry> {
  return createRegistryOn({ store: createSqlStore(database), ...rest });
}

export async function createRegistryOn({
  store,
  blobs,
  keyRing,
  cipher,
  clock,
  bytesMax = 2 ** 30,
}: Omit<RegistryDependencies, 'database'> & { readonly store: ModelStore }): Promise<Registry> {
  await keyRing.ensure(ARTIFACTS_KEY, 'wrap');
  const vault = createArtifactVault({ blobs, keyRing, cipher });
  const content = await store.load();
  await vault.sweep(new Set(content.versions.map(({ blob }) => blob)));
  const listeners = new Set<() => void>();
  let index = createModelIndex(content);
  let reloading: Promise<void> = Promise.resolve();

  /** One after another, so that an older state never replaces a newer one. */
  function reload(): Promise<void> {
    const load = async (): Promise<void> => {
      index = createModelIndex(await store.load());
      for (const listener of listeners) listener();
    };
    reloading = reloading.then(load, load);
    return reloading;
  }

  function getModel(project: string, model: string): RegisteredModel {
    const found = index.model(project, model);
    if (found === undefined) throw modelsProblems.model_unknown(`there is no model ${project}/${model}`);
    return found;
  }

  function getVersion(project: string, model: string, number: number): RegisteredVersion {
    const found = getModel(project, model).versions.find((version) => version.number === number);
    if (found === undefined) {
      throw modelsProblems.version_unknown(`${project}/${model} has no version ${number}`);
    }
    return found;
  }

  function openArtifact(version: Version): AsyncIterable<Uint8Array> {
    const record = index.record(version.id);
    if (record === undefined) throw modelsProblems.version_unknown(`${labelOf(version)} has been removed`);
    return vault.open(record, labelOf(version));
  }

  return {
    resolve: (reference) => index.resolve(reference),
    openArtifact,
    onChange(listener) {
      // Wrapped, so that one function given twice is two subscriptions.
      const own = (): void => listener();
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    async createProject(name) {
      assertName('project', name);
      const project = { id: newId('prj', clock), name, createdAt: clock.now() };
      await store.addProject(project);
      await reload();
      return project;
    },
    listProjects: () => index.projects,
    listModels: () => index.models,
    findModel: (project, model) => index.model(project, model),
    getModel,
    getVersion,

    async add({ project, model, description = '', source, createdBy, alias }) {
      assertName('project', project);
      assertName('model', model);
      if (typeof alias === 'string') assertName('alias', alias);
      if (!index.projects.some(({ name }) => name === project)) {
        throw modelsProblems.project_unknown(`there is no project ${project}`);
      }
      const bytes = await collect(source, bytesMax);
      const inspection = inspectOnnx(bytes);
      if (inspection.verdict === 'block') throw rejected(inspection.findings);
      const { signature } = inspection.facts;
      const artifact = await vault.seal(bytes);
      const createdAt = clock.now();
      const by = { createdBy, createdAt };
      const id = newId('ver', clock);
      let number: number;
      try {
        number = await store.addVersion({
          model: { id: newId('mdl', clock), project, name: model, description, ...by },
          version: { id, format: 'onnx', ...artifact, signature, findings: inspection.findings, ...by },
          alias,
        });
      } catch (error) {
        await vault.discard(artifact.blob);
        throw error;
      }
      await reload();
      return getVersion(project, model, number);
    },

    async setAlias({ project, model, alias, version: number, by }) {
      assertName('alias', alias);
      const version = getVersion(project, model, number);
      const { id: modelId } = getModel(project, model);
      await store.setAlias({
        modelId,
        name: alias,
        versionId: version.id,
        updatedAt: clock.now(),
        updatedBy: by,
      });
      await reload();
      return getVersion(project, model, number);
    },
    async removeAlias({ project, model, alias }) {
      const { id } = getModel(project, model);
      if (!(await store.removeAlias(id, alias))) {
        throw modelsProblems.alias_unknown(`${project}/${model} has no alias ${alias}`);
      }
      await reload();
    },
    async removeVersion(project, model, number) {
      const version = getVersion(project, model, number);
      const blob = index.record(version.id)?.blob;
      if (!(await store.removeVersion(version.id))) {
        throw modelsProblems.version_unknown(`${labelOf(version)} has been removed`);
      }
      await reload();
      if (blob !== undefined) await vault.discard(blob);
      return version;
    },
    async removeModel(project, model) {
      const found = getModel(project, model);
      const blobsLeft = await store.removeModel(found.id);
      await reload();
      for (const blob of blobsLeft) await vault.discard(blob);
      return found;
    },

    async verifyAll() {
      const checks: ArtifactCheck[] = [];
      for (const version of index.models.flatMap(({ versions }) => versions)) {
        const problem = await check(openArtifact(version));
        checks.push(problem === undefined ? { version } : { version, problem });
      }
      return checks;
    },
  };
}

/** `fraud/score@3`, as the command line writes it. */
export function labelOf({ project, model, number }: Pick<Version, 'project' | 'model' | 'number'>): string {
  return `${project}/${model}@${number}`;
}

function rejected(findings: readonly { readonly rule: string; readonly message: string }[]): Problem {
  const [first, ...others] = findings;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return modelsProblems.model_rejected(`${first?.message ?? 'the model was refused'}${more}`, {
    members: { findings: findings.map(({ rule, message }) => `${rule}: ${message}`) },
  });
}

async function collect(source: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw modelsProblems.artifact_too_large(`a model has at most ${bytesMax} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, bytes);
}

async function check(artifact: AsyncIterable<Uint8Array>): Promise<Problem | undefined> {
  try {
    for await (const _ of artifact);
    return undefined;
  } catch (error) {
    if (isProblem(error)) return error;
    throw error;
  }
}
