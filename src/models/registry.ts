import type { KeyRing } from '../crypto/ring/key-ring.ts';
import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import { type Log, silentLog } from '../kernel/log.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import type { BlobStore, ListedBlob } from '../storage/blobs.ts';
import type { Database } from '../storage/database.ts';
import { type ArtifactHeaders, createArtifactHeaders } from './artifact-headers.ts';
import { ARTIFACTS_KEY, createArtifactVault } from './artifact-vault.ts';
import type { ServableModels } from './artifacts.ts';
import type { ArtifactCipher } from './cipher.ts';
import { labelOf } from './label.ts';
import { createModelIndex, type RegisteredModel, type RegisteredVersion } from './model-index.ts';
import { assertName } from './name.ts';
import { createInspector, type Inspector } from './onnx/inspector.ts';
import { onnxLimits } from './onnx/model.ts';
import { modelsProblems } from './problems.ts';
import type { ProjectRecord, VersionRecord } from './record.ts';
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
   * Encrypts, inspects and registers a model file as the next version; a piece of it at a time is in memory. Throws
   * `models.model_rejected`, `models.inspection_failed`, `models.busy`, `models.artifact_too_large`,
   * `models.project_unknown`, `models.name_invalid`; then nothing is left behind.
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
  /**
   * Blobs that no version names: what a crash left, or what belongs to a newer database than this one. They are kept
   * until someone removes them, so that such a database can still be put back.
   */
  strays(): Promise<readonly ListedBlob[]>;
  /** Removes the strays written before `before`, milliseconds since 1970; all of them without it. Answers which. */
  removeStrays(before?: number): Promise<readonly ListedBlob[]>;
  /** The artifacts as a place under ring keys, for the key service. */
  readonly artifactHeaders: ArtifactHeaders;
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
  readonly keyRing: Pick<KeyRing, 'ensure' | 'list' | 'recipient' | 'identity'>;
  readonly cipher: ArtifactCipher;
  readonly clock: Clock;
  /** Hears of stray blobs when the registry opens. */
  readonly log?: Log;
  readonly inspector?: Inspector;
  /** Largest model file that is accepted. */
  readonly bytesMax?: number;
}

/** An ONNX file is one protobuf message: ONNX Runtime loads none of 2 GiB. */
export const ARTIFACT_BYTES_MAX = onnxLimits.bytesMax;

/** The registry in the keep's database. Nobody else may write to `blobs` while it opens. */
export function createRegistry({ database, ...rest }: RegistryDependencies): Promise<Registry> {
  return createRegistryOn({ store: createSqlStore(database), ...rest });
}

export async function createRegistryOn({
  store,
  blobs,
  keyRing,
  cipher,
  clock,
  log = silentLog,
  inspector = createInspector({ clock }),
  bytesMax = ARTIFACT_BYTES_MAX,
}: Omit<RegistryDependencies, 'database'> & { readonly store: ModelStore }): Promise<Registry> {
  await keyRing.ensure(ARTIFACTS_KEY, 'wrap');
  const vault = createArtifactVault({ blobs, keyRing, cipher });
  await blobs.removeUnfinished();
  const listeners = new Set<() => void>();
  let index = createModelIndex(await store.load());
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
    recordOf(version);
    return readArtifact(version);
  }

  /** The row is read when the reading begins, and once more if its blob was re-encrypted in that moment. */
  async function* readArtifact(version: Version): AsyncGenerator<Uint8Array> {
    const record = recordOf(version);
    let begun = false;
    try {
      for await (const chunk of vault.open(record, labelOf(version))) {
        begun = true;
        yield chunk;
      }
    } catch (error) {
      const now = index.record(version.id);
      if (begun || now === undefined || now.blob === record.blob) throw error;
      yield* vault.open(now, labelOf(version));
    }
  }

  function recordOf(version: Version): VersionRecord {
    const record = index.record(version.id);
    if (record === undefined) throw modelsProblems.version_unknown(`${labelOf(version)} has been removed`);
    return record;
  }

  const strays = (): Promise<readonly ListedBlob[]> =>
    vault.strays(async () => new Set((await store.load()).versions.map(({ blob }) => blob)));

  const left = await strays();
  if (left.length > 0) {
    const bytes = left.reduce((sum, blob) => sum + blob.bytes, 0);
    log.warn('models.stray_blobs', { blobs: left.length, bytes });
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
      const number = await vault.seal(limited(source, bytesMax), async (artifact) => {
        try {
          const plaintext = vault.open(artifact, `${project}/${model}`);
          const judgement = await inspector.inspect(plaintext, artifact.bytes);
          if (judgement.verdict === 'block') throw rejected(judgement.findings);
          const { signature, findings } = judgement;
          const createdAt = clock.now();
          const by = { createdBy, createdAt };
          const id = newId('ver', clock);
          return await store.addVersion({
            model: { id: newId('mdl', clock), project, name: model, description, ...by },
            version: { id, format: 'onnx', ...artifact, sealedAt: createdAt, signature, findings, ...by },
            alias,
          });
        } catch (error) {
          await vault.discard(artifact.blob);
          throw error;
        }
      });
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

    strays,
    async removeStrays(before = Number.POSITIVE_INFINITY) {
      const old = (await strays()).filter(({ modifiedAt }) => modifiedAt < before);
      for (const { name } of old) await vault.discard(name);
      return old;
    },
    artifactHeaders: createArtifactHeaders({ store, vault, keyRing, clock, onReplaced: reload }),
  };
}

function rejected(findings: readonly { readonly rule: string; readonly message: string }[]): Problem {
  const [first, ...others] = findings;
  const more = others.length === 0 ? '' : ` (and ${others.length} more)`;
  return modelsProblems.model_rejected(`${first?.message ?? 'the model was refused'}${more}`, {
    members: { findings: findings.map(({ rule, message }) => `${rule}: ${message}`) },
  });
}

async function* limited(source: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw modelsProblems.artifact_too_large(`a model has at most ${bytesMax} bytes`);
    yield chunk;
  }
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
