import type { Clock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import { isProblem, type Problem } from '../kernel/problem.ts';
import type { Version } from '../models/version.ts';
import { type ExitReason, type HostProcess, isRunError, startHostProcess } from './host-process.ts';
import { type Job, takeBatch } from './job.ts';
import type { ServingLimits } from './limits.ts';
import { residentBytes } from './memory.ts';
import { servingProblems } from './problems.ts';
import { createRestartBudget } from './restart-budget.ts';
import { concatRows, isBatchable, splitRows, type Tensor } from './tensors.ts';

/** The process of one version, with its queue: started on first use, restarted after a failure, closed for good. */
export interface ModelProcess {
  /**
   * What arrives in one turn of the event loop, or while a run is under way, is run together where the model allows.
   * Rejects with a problem of `serving.` or with what the artifact threw. `signal`: not started once aborted.
   */
  run(inputs: readonly Tensor[], signal?: AbortSignal): Promise<readonly Tensor[]>;
  /** Starts the process if it is not running; resolves when the model is loaded. */
  warm(): Promise<void>;
  status(): ModelProcessStatus;
  /** Works the queue off, for at most `drainMsMax`, then ends the process. Resolves when it is gone. */
  close(): Promise<void>;
}

export interface ModelProcessStatus {
  readonly state: 'idle' | 'starting' | 'ready' | 'unavailable' | 'closed';
  readonly pid?: number;
  /** Requests that wait or run. */
  readonly queue: number;
  /** Since this object was made. */
  readonly restarts: number;
  readonly predictions: number;
  readonly runs: number;
  readonly residentBytes?: number;
}

export interface ModelProcessOptions {
  readonly version: Version;
  readonly openArtifact: () => AsyncIterable<Uint8Array>;
  readonly limits: ServingLimits;
  readonly clock: Clock;
  readonly log: Log;
}

export function createModelProcess({
  version,
  openArtifact,
  limits,
  clock,
  log,
}: ModelProcessOptions): ModelProcess {
  const about = { project: version.project, model: version.model, version: version.number };
  const budget = createRestartBudget({ perMinute: limits.restartsPerMinute, clock });
  let queue: Job[] = [];
  let batchRowsMax = isBatchable(version.signature) ? limits.batchRowsMax : 1;
  let host: HostProcess | undefined;
  let starting: Promise<void> | undefined;
  let startFailure: Error | undefined;
  let started = false;
  let running = 0;
  let scheduled = false;
  let closing: Promise<void> | undefined;
  let drained: (() => void) | undefined;
  const stop = new AbortController();
  const counts = { restarts: 0, predictions: 0, runs: 0 };

  const isOut = (): boolean => !host && !starting && started && budget.waitMs() > 0;

  function outOfService(): Error {
    if (startFailure !== undefined) return startFailure;
    const seconds = Math.max(1, Math.ceil(budget.waitMs() / 1000));
    return servingProblems.model_unavailable(
      `its process failed too often; it is tried again in ${seconds} s`,
      {
        headers: { 'retry-after': String(seconds) },
      },
    );
  }

  function rejectQueue(error: Error): void {
    const jobs = queue;
    queue = [];
    for (const job of jobs) job.reject(error);
    drained?.();
  }

  function start(): Promise<void> {
    starting ??= tryStart().finally(() => {
      starting = undefined;
      schedule();
    });
    return starting;
  }

  async function tryStart(): Promise<void> {
    if (started) {
      if (!budget.take()) {
        log.error('serving.model_unavailable', about);
        return rejectQueue(outOfService());
      }
      counts.restarts++;
    }
    started = true;
    startFailure = undefined;
    try {
      host = await startHostProcess({ version, artifact: openArtifact(), limits, log, stop: stop.signal });
      log.info('serving.process_ready', { ...about, pid: host.pid });
      void host.exited.then(afterExit);
    } catch (error) {
      log.error('serving.start_failed', { ...about, error: error as Error });
      startFailure = isProblem(error)
        ? error
        : servingProblems.model_unavailable('its process cannot be started', { cause: error });
      rejectQueue(startFailure);
    }
  }

  function afterExit(reason: ExitReason): void {
    host = undefined;
    if (reason === 'closed') return;
    // A request that has now seen two processes end is not worth a third.
    const [again, lost] = [
      queue.filter(({ survived }) => !survived),
      queue.filter(({ survived }) => survived),
    ];
    for (const job of lost)
      job.reject(servingProblems.model_killed('the model process ended twice before this run'));
    for (const job of again) job.survived = true;
    queue = again;
    if (closing && queue.length === 0) drained?.();
    else void start();
  }

  function schedule(): void {
    if (scheduled || running > 0 || queue.length === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      if (running > 0 || queue.length === 0) return;
      if (!host) {
        void start();
        return;
      }
      const { jobs, rest } = takeBatch(queue, batchRowsMax);
      queue = rest;
      running = jobs.length;
      void runBatch(jobs, host).finally(() => {
        running = 0;
        if (queue.length === 0) drained?.();
        schedule();
      });
    });
  }

  async function runBatch(jobs: readonly Job[], host: HostProcess): Promise<void> {
    if (jobs.length > 1 && (await runTogether(jobs, host))) return;
    for (const [index, job] of jobs.entries()) {
      try {
        job.resolve(await runOne(job.inputs, host));
      } catch (error) {
        job.reject(error as Problem);
        if (isRunError(error)) continue;
        // The process is gone; those behind were not started, and wait for the next one.
        const waiting = jobs.slice(index + 1);
        for (const job of waiting) job.survived = true;
        queue = [...waiting, ...queue];
        return;
      }
    }
  }

  /** False: run them one by one, so that one bad row fails alone. */
  async function runTogether(jobs: readonly Job[], host: HostProcess): Promise<boolean> {
    try {
      const outputs = await runOne(concatRows(jobs.map(({ inputs }) => inputs)), host);
      const parts = splitRows(
        outputs,
        jobs.map(({ rows }) => rows),
      );
      if (parts === undefined) {
        // Its outputs do not follow its rows, whatever the names of its dimensions say.
        batchRowsMax = 1;
        return false;
      }
      for (const [index, job] of jobs.entries()) job.resolve(parts[index] ?? []);
      return true;
    } catch (error) {
      if (isRunError(error)) return false;
      for (const job of jobs) job.reject(error as Problem);
      return true;
    }
  }

  function runOne(inputs: readonly Tensor[], host: HostProcess): Promise<readonly Tensor[]> {
    counts.runs++;
    return host.run(inputs);
  }

  async function shutDown(): Promise<void> {
    const timer = setTimeout(giveUp, limits.drainMsMax);
    if (queue.length === 0 && running === 0) giveUp();
    while (isBusy()) {
      const idle = Promise.withResolvers<void>();
      drained = idle.resolve;
      await (starting ?? idle.promise);
    }
    clearTimeout(timer);
    stop.abort();
    await host?.exited;
  }

  function isBusy(): boolean {
    return queue.length > 0 || running > 0 || starting !== undefined;
  }

  function giveUp(): void {
    rejectQueue(stopping());
    stop.abort();
  }

  return {
    async run(inputs, signal) {
      if (closing) throw stopping();
      if (isOut()) throw outOfService();
      if (queue.length + running >= limits.queueMax) {
        throw servingProblems.overloaded(`${limits.queueMax} requests wait for the model`, {
          headers: { 'retry-after': '1' },
        });
      }
      counts.predictions++;
      const { promise, resolve, reject } = Promise.withResolvers<readonly Tensor[]>();
      queue.push({ inputs, rows: inputs[0]?.shape[0] ?? 1, signal, survived: false, resolve, reject });
      schedule();
      return promise;
    },
    async warm() {
      if (closing) throw stopping();
      if (isOut()) throw outOfService();
      if (!host) await start();
      if (!host) throw outOfService();
    },
    status: () => ({
      state: closing ? 'closed' : host ? 'ready' : starting ? 'starting' : isOut() ? 'unavailable' : 'idle',
      queue: queue.length + running,
      ...counts,
      ...processFigures(host),
    }),
    close: () => (closing ??= shutDown()),
  };
}

function processFigures(host: HostProcess | undefined): { pid?: number; residentBytes?: number } {
  if (!host) return {};
  const bytes = residentBytes(host.pid);
  return { pid: host.pid, ...(bytes !== undefined && { residentBytes: bytes }) };
}

function stopping(): Problem {
  return servingProblems.model_unavailable('the model is being stopped', { headers: { 'retry-after': '1' } });
}
