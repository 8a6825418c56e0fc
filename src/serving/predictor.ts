import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import type { ServableModels } from '../models/artifacts.ts';
import type { Version, VersionReference } from '../models/version.ts';
import { defaultServingLimits, type ServingLimits } from './limits.ts';
import { createModelProcess, type ModelProcess, type ModelProcessStatus } from './model-process.ts';
import { servingProblems } from './problems.ts';
import { concatRows, isBatchable, splitRows, type Tensor, trailingShapes } from './tensors.ts';

/** Runs versions of models, each in a process of its own that starts on first use. */
export interface Predictor {
  readonly limits: ServingLimits;
  /** The inputs must fit the version's signature. Rejects with problems of `serving.`, or with what the artifact threw. */
  predict(version: Version, inputs: readonly Tensor[], signal?: AbortSignal): Promise<readonly Tensor[]>;
  /** The outputs of each row; rows that the model can take together make one run. */
  predictRows(
    version: Version,
    rows: readonly (readonly Tensor[])[],
    signal?: AbortSignal,
  ): Promise<readonly (readonly Tensor[])[]>;
  /** Loads the model now. Throws `serving.unknown_model`, and what `predict` throws. */
  warm(reference: VersionReference): Promise<void>;
  /** False only while the version is out of service; an unused one counts as available. Starts nothing. */
  isAvailable(version: Version): boolean;
  /** One row per version with a process, for metrics. */
  status(): readonly PredictorStatus[];
  /** Takes nothing more, works the queues off, ends all processes. */
  close(): Promise<void>;
}

export interface PredictorStatus extends ModelProcessStatus {
  readonly project: string;
  readonly model: string;
  readonly version: number;
  readonly digest: string;
}

export interface PredictorOptions {
  readonly models: ServableModels;
  readonly clock: Clock;
  readonly log: Log;
  /** What is absent is as in `defaultServingLimits`. */
  readonly limits?: Partial<ServingLimits>;
}

interface Slot {
  readonly version: Version;
  readonly process: ModelProcess;
  /** Whether an alias named the version when it was last seen. */
  aliased: boolean;
  usedAt: number;
}

export function createPredictor({ models, clock, log, limits: given }: PredictorOptions): Predictor {
  const limits: ServingLimits = { ...defaultServingLimits, ...given };
  const slots = new Map<string, Slot>();
  const leaving = new Set<Promise<void>>();
  let closed = false;
  const stopListening = models.onChange(dropSuperseded);

  function processOf(version: Version): ModelProcess {
    if (closed)
      throw servingProblems.model_unavailable('the server is stopping', { headers: { 'retry-after': '5' } });
    const key = keyOf(version);
    let slot = slots.get(key);
    if (!slot) {
      makeRoom();
      const openArtifact = (): AsyncIterable<Uint8Array> => models.openArtifact(version);
      const process = createModelProcess({ version, openArtifact, limits, clock, log });
      slot = { version, process, aliased: version.aliases.length > 0, usedAt: 0 };
      slots.set(key, slot);
    }
    slot.usedAt = clock.monotonic();
    return slot.process;
  }

  /** Throws `serving.overloaded` if every process is at work. */
  function makeRoom(): void {
    if (slots.size < limits.processesMax) return;
    const [oldest] = [...slots.entries()]
      .filter(([, { process }]) => process.status().queue === 0)
      .toSorted(([, one], [, other]) => one.usedAt - other.usedAt);
    if (!oldest) {
      throw servingProblems.overloaded(`all ${limits.processesMax} model processes are at work`, {
        headers: { 'retry-after': '1' },
      });
    }
    drop(oldest[0]);
  }

  function drop(key: string): void {
    const slot = slots.get(key);
    if (!slot) return;
    slots.delete(key);
    const gone = slot.process.close().finally(() => leaving.delete(gone));
    leaving.add(gone);
  }

  /** Ends the processes of versions that were removed, and of those that an alias has left. */
  function dropSuperseded(): void {
    for (const [key, slot] of slots) {
      const { project, model, number } = slot.version;
      const now = models.resolve({ project, model, version: number });
      const aliased = now !== undefined && now.aliases.length > 0;
      if (!now || keyOf(now) !== key || (slot.aliased && !aliased)) drop(key);
      else slot.aliased = aliased;
    }
  }

  const predict: Predictor['predict'] = async (version, inputs, signal) =>
    processOf(version).run(inputs, signal);

  return {
    limits,
    predict,
    async predictRows(version, rows, signal) {
      const [first = []] = rows;
      const shapes = trailingShapes(first);
      const together =
        rows.length > 1 &&
        isBatchable(version.signature) &&
        rows.every((row) => trailingShapes(row) === shapes);
      if (together) {
        const outputs = await predict(version, concatRows(rows), signal);
        const parts = splitRows(
          outputs,
          rows.map(() => 1),
        );
        if (parts) return parts;
      }
      return Promise.all(rows.map((row) => predict(version, row, signal)));
    },
    async warm(reference) {
      const version = models.resolve(reference);
      if (!version)
        throw servingProblems.unknown_model(`no such version of ${reference.project}/${reference.model}`);
      await processOf(version).warm();
    },
    isAvailable: (version) => slots.get(keyOf(version))?.process.status().state !== 'unavailable' && !closed,
    status: () =>
      [...slots.values()].map(({ version: { project, model, number, digest }, process }) => ({
        project,
        model,
        version: number,
        digest,
        ...process.status(),
      })),
    async close() {
      closed = true;
      stopListening();
      for (const key of slots.keys()) drop(key);
      await Promise.all(leaving);
    },
  };
}

/** Equal bytes registered twice run twice: no project waits for, or is mixed with, another. */
function keyOf({ id, digest }: Version): string {
  return `${id} ${digest}`;
}
