import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Log } from '../kernel/log.ts';
import type { Problem } from '../kernel/problem.ts';
import type { Version } from '../models/version.ts';
import { feedArtifact, forkHost, stderrTail } from './host-child.ts';
import type { HostMessage, RunRequest } from './host-wire.ts';
import type { ServingLimits } from './limits.ts';
import { residentBytes } from './memory.ts';
import { servingProblems } from './problems.ts';
import { runtimeMissing } from './runtime-location.ts';
import { areOutputs, signatureDifference } from './session-signature.ts';
import type { Tensor } from './tensors.ts';

/** One running model process with its model loaded. */
export interface HostProcess {
  readonly pid: number;
  /** Settles when the process is gone; never rejects. */
  readonly exited: Promise<ExitReason>;
  /**
   * One run at a time. Rejects with `serving.run_failed` or `serving.unusable_output` where the process lives on, and with
   * `serving.deadline_exceeded` or `serving.model_killed` where it does not.
   */
  run(inputs: readonly Tensor[]): Promise<readonly Tensor[]>;
}

/** Why a process ended: `closed` is our own doing, `crash` everything that nobody here asked for. */
export type ExitReason = 'closed' | 'deadline' | 'memory' | 'crash';

export interface HostOptions {
  readonly version: Version;
  readonly artifact: AsyncIterable<Uint8Array>;
  readonly limits: ServingLimits;
  readonly log: Log;
  /** Aborted: the process is killed, be it still loading. */
  readonly stop: AbortSignal;
}

/** Tells whether an error of `run` left the process alive. */
export function isRunError(error: unknown): boolean {
  const code = (error as Problem).code;
  return code === servingProblems.run_failed.code || code === servingProblems.unusable_output.code;
}

const MEMORY_WATCH_MS = 250;
/** Loading holds the artifact, the parsed graph and the prepared weights at once: 3.3 times its size measured. */
const LOAD_FACTOR = 5;
const EMPTY_PROCESS_BYTES = 128 * 2 ** 20;

/**
 * Starts a process for `version`, hands it the artifact and waits until the model is loaded. Rejects with what the
 * artifact throws, or with `serving.runtime_missing`, `model_refused`, `signature_mismatch`, `model_killed`; then nothing
 * is left running.
 */
export async function startHostProcess(options: HostOptions): Promise<HostProcess> {
  const { version, limits, log, stop } = options;
  const folder = await mkdtemp(join(tmpdir(), 'modelkeep-model-'));
  const removeFolder = (): Promise<void> => rm(folder, { recursive: true, force: true });
  await chmod(folder, 0o500);
  const child = forkHost({ folder, outputBytesMax: limits.outputBytesMax });
  const exited = Promise.withResolvers<ExitReason>();
  const loaded = Promise.withResolvers<ReadyMessage>();
  const about = { project: version.project, model: version.model, version: version.number };
  const stderr = stderrTail(child);
  let reason: ExitReason | undefined;
  let current: CurrentRun | undefined;
  let lastId = 0;
  let memoryBytesMax = EMPTY_PROCESS_BYTES + LOAD_FACTOR * version.bytes + limits.memoryBytesMax;

  const kill = (why: ExitReason): void => {
    reason ??= why;
    child.kill('SIGKILL');
  };
  const onStop = (): void => kill('closed');
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop, { once: true });
  const watch = setInterval(() => {
    const bytes = child.pid === undefined ? undefined : residentBytes(child.pid);
    if (bytes !== undefined && bytes > memoryBytesMax) kill('memory');
  }, MEMORY_WATCH_MS);
  const finishRun = (id: number): CurrentRun | undefined => {
    if (current?.id !== id) return undefined;
    const run = current;
    current = undefined;
    clearTimeout(run.timer);
    return run;
  };
  const ended = (how: string): void => {
    clearInterval(watch);
    stop.removeEventListener('abort', onStop);
    const why = reason ?? 'crash';
    if (why !== 'closed') log.warn('serving.process_ended', { ...about, reason: why, how, stderr: stderr() });
    if (current) finishRun(current.id)?.reject(exitProblem(why, how, limits));
    loaded.reject(
      servingProblems.model_killed(
        `the process ended while it loaded the model: ${whyText(why, how, { ...limits, deadlineMs: limits.startMsMax })}`,
      ),
    );
    void removeFolder();
    exited.resolve(why);
  };
  child.once('exit', (code, signal) => ended(signal === null ? `exit code ${code}` : `signal ${signal}`));
  child.once('error', () => ended('it could not be started'));
  child.on('message', (message: HostMessage) => {
    if (message.kind === 'ready') loaded.resolve(message);
    else if (message.kind === 'failed') loaded.reject(loadProblem(message));
    else if (message.kind === 'result') {
      if (areOutputs(version.signature, message.outputs)) finishRun(message.id)?.resolve(message.outputs);
      else kill('crash');
    } else finishRun(message.id)?.reject(runProblem(message, limits));
  });

  const startTimer = setTimeout(() => kill('deadline'), limits.startMsMax);
  try {
    const fed = feedArtifact(child, options.artifact);
    const session = await Promise.race([loaded.promise, fed.then(() => loaded.promise)]);
    const difference = signatureDifference(version.signature, session);
    if (difference !== undefined) throw servingProblems.signature_mismatch(difference);
  } catch (error) {
    kill('closed');
    await exited.promise;
    throw error;
  } finally {
    clearTimeout(startTimer);
  }
  // From here on the working directory does not exist: nothing can be read below it, and no kill leaves it behind.
  await removeFolder();
  const pid = child.pid as number;
  memoryBytesMax = (residentBytes(pid) ?? Number.POSITIVE_INFINITY) + limits.memoryBytesMax;

  return {
    pid,
    exited: exited.promise,
    run(inputs) {
      const id = ++lastId;
      const { promise, resolve, reject } = Promise.withResolvers<readonly Tensor[]>();
      if (reason !== undefined) return Promise.reject(exitProblem(reason, 'it is being stopped', limits));
      const killIfLate = (): void => {
        if (current?.id === id) kill('deadline');
      };
      // An answer that came while this thread was busy is read between the timers and the check phase: it is not late.
      const timer = setTimeout(() => setImmediate(killIfLate), limits.deadlineMs);
      current = { id, timer, resolve, reject };
      const request: RunRequest = { id, inputs };
      child.send(request, (error) => {
        if (error) kill('crash');
      });
      return promise;
    },
  };
}

type ReadyMessage = HostMessage & { readonly kind: 'ready' };

interface CurrentRun {
  readonly id: number;
  readonly timer: NodeJS.Timeout;
  resolve(outputs: readonly Tensor[]): void;
  reject(problem: Problem): void;
}

function loadProblem({ reason, message }: HostMessage & { readonly kind: 'failed' }): Error {
  const cause = new Error(message);
  if (reason === 'runtime') return runtimeMissing(cause);
  return servingProblems.model_refused('ONNX Runtime refuses the artifact', { cause });
}

function runProblem(
  { reason, message }: HostMessage & { readonly kind: 'error' },
  limits: ServingLimits,
): Problem {
  const cause = new Error(message);
  if (reason === 'run')
    return servingProblems.run_failed('an operator of the model refused this input', { cause });
  return servingProblems.unusable_output(`the outputs have more than ${limits.outputBytesMax} bytes`, {
    cause,
  });
}

function exitProblem(reason: ExitReason, how: string, limits: ServingLimits): Problem {
  const detail = whyText(reason, how, limits);
  return reason === 'deadline'
    ? servingProblems.deadline_exceeded(detail)
    : servingProblems.model_killed(detail);
}

function whyText(reason: ExitReason, how: string, limits: ServingLimits): string {
  const texts: Readonly<Record<ExitReason, string>> = {
    deadline: `it did not end within ${limits.deadlineMs} ms`,
    memory: `it used more memory than its limit of ${Math.round(limits.memoryBytesMax / 2 ** 20)} MiB`,
    closed: 'the model is being stopped',
    crash: `its process ended with ${how}`,
  };
  return texts[reason];
}
