import { hash } from 'node:crypto';
import type { ServableModels } from '../models/artifacts.ts';
import { modelsProblems } from '../models/problems.ts';
import type { ModelSignature, Version, VersionReference } from '../models/version.ts';

/** A registry in memory, for tests of what serves from it. */
export interface TestingModels extends ServableModels {
  /** A further version of `project/model`; `aliases` move to it. */
  add(draft: VersionDraft): Version;
  /** Makes every later `openArtifact` of the version end in `models.artifact_corrupt`. */
  corrupt(version: Version): void;
  remove(version: Version): void;
}

export interface VersionDraft {
  readonly project?: string;
  readonly model: string;
  readonly bytes: Uint8Array;
  readonly signature: ModelSignature;
  readonly aliases?: readonly string[];
}

export function createTestingModels(): TestingModels {
  let versions: Version[] = [];
  const artifacts = new Map<string, Uint8Array>();
  const corrupted = new Set<string>();
  const listeners = new Set<() => void>();
  const changed = (): void => {
    for (const listener of listeners) listener();
  };
  const of = ({ project, model }: Pick<Version, 'project' | 'model'>): Version[] =>
    versions.filter((version) => version.project === project && version.model === model);

  return {
    resolve(reference: VersionReference) {
      const alias = reference.alias ?? 'production';
      return of(reference).find((version) =>
        reference.version === undefined
          ? version.aliases.includes(alias)
          : version.number === reference.version,
      );
    },
    async *openArtifact(version) {
      const bytes = artifacts.get(version.id) ?? new Uint8Array();
      const half = Math.floor(bytes.length / 2);
      yield bytes.subarray(0, half);
      yield bytes.subarray(half);
      if (corrupted.has(version.id)) {
        const { project, model, number } = version;
        throw modelsProblems.artifact_corrupt(
          `the artifact of ${project}/${model} version ${number} is damaged`,
        );
      }
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add({ project = 'default', model, bytes, signature, aliases = ['production'] }) {
      const number = Math.max(0, ...of({ project, model }).map((version) => version.number)) + 1;
      const version: Version = {
        id: `ver_${project}_${model}_${number}`,
        project,
        model,
        number,
        format: 'onnx',
        digest: hash('sha256', bytes),
        bytes: bytes.length,
        signature,
        createdBy: 'usr_test',
        createdAt: 0,
        aliases,
      };
      versions = versions.map((other) =>
        other.project === project && other.model === model
          ? { ...other, aliases: other.aliases.filter((alias) => !aliases.includes(alias)) }
          : other,
      );
      versions.push(version);
      artifacts.set(version.id, bytes);
      changed();
      return version;
    },
    corrupt: (version) => void corrupted.add(version.id),
    remove(version) {
      versions = versions.filter(({ id }) => id !== version.id);
      changed();
    },
  };
}

/** `value` FP32 [N] → `prediction` [N]: the polarity model and those that a keep must survive. */
export function valueSignature(type: 'BYTES' | 'FP32'): ModelSignature {
  return {
    inputs: [{ name: 'value', type: 'FP32', shape: ['N'] }],
    outputs: [{ name: 'prediction', type, shape: ['N'] }],
  };
}
