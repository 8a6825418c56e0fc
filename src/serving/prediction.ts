import type { Commit, Commitment } from '../audit/privacy/commitment.ts';
import type { ServableModels } from '../models/artifacts.ts';
import type { Version, VersionReference } from '../models/version.ts';
import { isNearBoundary } from './boundary.ts';
import type { Predictor } from './predictor.ts';
import { servingProblems } from './problems.ts';
import type { Tensor } from './tensors.ts';

export interface ServingRouteOptions {
  readonly models: ServableModels;
  readonly predictor: Predictor;
  /** What `POST /predict` serves. */
  readonly defaultModel: VersionReference | undefined;
  /** Marks an input in its entry, so that detections can tell different inputs; without it they count predictions alone. */
  readonly tagInput?: (bytes: Uint8Array) => string;
  /** Whether the whole server is ready for work. */
  readonly isReady: () => boolean;
  /** The version of Modelkeep. */
  readonly release: string;
}

/** What names may be in a path; whatever else stands there names nothing. */
export const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
export const VERSION_NUMBER = /^[1-9]\d{0,8}$/;

export function modelPath({ project, model }: { readonly project: string; readonly model: string }): string {
  return `/projects/${project}/models/${model}`;
}

/** Throws `serving.unknown_model`, the same whatever part is missing. */
export function resolveVersion(models: ServableModels, reference: VersionReference | undefined): Version {
  const version = reference && models.resolve(reference);
  if (!version) throw servingProblems.unknown_model('there is no such model, version or alias');
  return version;
}

/**
 * Notes the facts of the attempt before it can fail, and then a commitment to the answer that is sent, byte for byte.
 * `predict` shows what the model gave to `look`, which only notes whether it was near a decision boundary.
 */
export async function answerPrediction(
  { commit, tagInput, call }: Marking & { readonly call: Noting },
  { version, bytes }: { readonly version: Version; readonly bytes: Uint8Array },
  predict: (look: (runs: readonly (readonly Tensor[])[]) => void) => Promise<string>,
): Promise<{ readonly headers: Readonly<Record<string, string>>; readonly body: string }> {
  call.note({
    resource: `${modelPath(version)}/versions/${version.number}`,
    model: { version: String(version.number), digest: version.digest },
    input: commit(bytes),
    ...(tagInput && { detail: { inputTag: tagInput(bytes) } }),
  });
  const body = await predict((runs) => {
    if (tagInput && isNearBoundary(runs)) call.note({ detail: { nearBoundary: true } });
  });
  call.note({ output: commit(body) });
  return { headers: { 'content-type': 'application/json' }, body };
}

/** How inputs and outputs are marked in entries. */
export interface Marking extends Pick<ServingRouteOptions, 'tagInput'> {
  readonly commit: Commit;
}

/** What a prediction needs of the call that asks for it. */
interface Noting {
  note(facts: {
    readonly resource?: string;
    readonly model?: { readonly version: string; readonly digest: string };
    readonly detail?: Readonly<Record<string, string | boolean>>;
    readonly input?: Commitment;
    readonly output?: Commitment;
  }): void;
}
