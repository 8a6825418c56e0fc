/** Bounds of serving. One set holds for all models of a keep. */
export interface ServingLimits {
  /** One run of a model, milliseconds; after it the process is killed. */
  readonly deadlineMs: number;
  /** From the start of a process until its model is loaded, milliseconds. */
  readonly startMsMax: number;
  /** Resident memory of a process above what it held just after loading. */
  readonly memoryBytesMax: number;
  /** Starts after a failure, per model and minute; beyond them the model is unavailable until the minute has passed. */
  readonly restartsPerMinute: number;
  /** Requests that wait for one model; a further one is refused. */
  readonly queueMax: number;
  /** Rows of separate requests that are run together; 1 turns batching off. */
  readonly batchRowsMax: number;
  /** Instances of one plain request. */
  readonly instancesMax: number;
  /** All outputs of one run together. */
  readonly outputBytesMax: number;
  /** Model processes at once; the one unused for longest gives way to a new one. */
  readonly processesMax: number;
  /** How long a closing process may work off its queue. */
  readonly drainMsMax: number;
}

export const defaultServingLimits: ServingLimits = {
  deadlineMs: 2_000,
  startMsMax: 30_000,
  memoryBytesMax: 512 * 2 ** 20,
  restartsPerMinute: 5,
  queueMax: 256,
  batchRowsMax: 32,
  instancesMax: 1_024,
  outputBytesMax: 64 * 2 ** 20,
  processesMax: 32,
  drainMsMax: 10_000,
};
