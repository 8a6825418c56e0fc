import { setImmediate } from 'node:timers/promises';
import type { MoveResult, WrappedPlace } from '../crypto/ring/wrapped-place.ts';

/** How far a job over the places has come, after each batch. */
export interface JobProgress {
  readonly place: string;
  /** Items of this place moved so far, in this run. */
  readonly moved: number;
}

export interface JobControl {
  /** The job ends after the batch it is in. */
  readonly signal?: AbortSignal | undefined;
  /** The job ends after the first batch that ends later than this; unlimited without it. */
  readonly msMax?: number | undefined;
  readonly onProgress?: ((progress: JobProgress) => void) | undefined;
}

export interface PlaceResult {
  readonly place: string;
  readonly rewrapping: WrappedPlace['rewrapping'];
  readonly moved: number;
  /** Items that could not be moved, each once. */
  readonly failures: MoveResult['failures'];
}

export interface JobResult {
  /** False: it was told to stop, or its time was over. Running it again goes on from there. */
  readonly finished: boolean;
  readonly places: readonly PlaceResult[];
}

/** One durable batch in a place; undefined if the place cannot do this. */
export type Step = (place: WrappedPlace) => (() => Promise<MoveResult>) | undefined;

/**
 * Runs through the places, batch by batch, and lets other work in between. Each batch is durable by itself, so a kill
 * at any moment loses at most the batch it is in.
 */
export async function runJob(
  places: readonly WrappedPlace[],
  stepOf: Step,
  monotonic: () => number,
  { signal, msMax = Number.POSITIVE_INFINITY, onProgress = () => {} }: JobControl,
): Promise<JobResult> {
  const startedAt = monotonic();
  const stopped = (): boolean => signal?.aborted === true || monotonic() - startedAt >= msMax;

  const runPlace = async (
    place: WrappedPlace,
    step: () => Promise<MoveResult>,
  ): Promise<PlaceResult & { finished: boolean }> => {
    const failures = new Map<string, string>();
    let moved = 0;
    let finished = false;
    while (!finished && !stopped()) {
      const batch = await step();
      moved += batch.moved;
      finished = batch.moved === 0;
      for (const { item, reason } of batch.failures) failures.set(item, reason);
      if (!finished) onProgress({ place: place.name, moved });
      await setImmediate();
    }
    return {
      place: place.name,
      rewrapping: place.rewrapping,
      moved,
      failures: Array.from(failures, ([item, reason]) => ({ item, reason })),
      finished,
    };
  };

  const results: PlaceResult[] = [];
  let allFinished = true;
  for (const place of places) {
    const step = stepOf(place);
    if (step === undefined) {
      results.push({ place: place.name, rewrapping: place.rewrapping, moved: 0, failures: [] });
      continue;
    }
    const { finished, ...result } = await runPlace(place, step);
    allFinished &&= finished;
    results.push(result);
  }
  return { finished: allFinished, places: results };
}
