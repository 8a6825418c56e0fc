import { trailingShapes, type Tensor } from './tensors.ts';

/** One request in the queue of a model. */
export interface Job {
  readonly inputs: readonly Tensor[];
  /** Its share of the first dimension. */
  readonly rows: number;
  readonly signal: AbortSignal | undefined;
  /** It waited while a process ended, and waits for the next one. */
  survived: boolean;
  resolve(outputs: readonly Tensor[]): void;
  reject(error: Error): void;
}

/**
 * The first request and those behind it that fit into one run with it: same shapes but for the rows, and no more than
 * `rowsMax` rows together. The order of the rest stays. Requests whose caller has gone are settled and left out.
 */
export function takeBatch(queue: readonly Job[], rowsMax: number): { jobs: readonly Job[]; rest: Job[] } {
  const jobs: Job[] = [];
  const rest: Job[] = [];
  let rows = 0;
  let shapes: string | undefined;
  for (const job of queue) {
    if (job.signal?.aborted) {
      job.reject(job.signal.reason instanceof Error ? job.signal.reason : new Error('the caller has gone'));
    } else if (jobs.length === 0) {
      jobs.push(job);
      rows = job.rows;
    } else {
      const room = rows + job.rows <= rowsMax;
      shapes ??= room ? trailingShapes(jobs[0]?.inputs ?? []) : undefined;
      if (room && trailingShapes(job.inputs) === shapes) {
        jobs.push(job);
        rows += job.rows;
      } else {
        rest.push(job);
      }
    }
  }
  return { jobs, rest };
}
