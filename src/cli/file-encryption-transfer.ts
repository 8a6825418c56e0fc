import { fstatSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AgeTransfer } from '../crypto/engine/files.ts';
import { createPipeSource, type PipeSource } from '../crypto/engine/pipe-source.ts';
import type { FileTransfer } from '../crypto/engine/transfer.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { isProblem } from '../kernel/problem.ts';
import { CliFailure, usage } from './failure.ts';
import type { CliIo } from './io.ts';

/** What encryption commands need of the process. */
export type EncryptionIo = Pick<
  CliIo,
  'stdin' | 'stdout' | 'stderr' | 'stdoutIsTerminal' | 'stderrIsTerminal' | 'clock' | 'prompt' | 'interrupted'
>;

export interface OutputOptions {
  readonly output?: string;
  readonly force?: boolean;
  readonly jobs?: string;
}

/**
 * Runs `work` from the named input to the named output, with a progress bar on the terminal. Failures are in the words of
 * the command line.
 */
export async function transfer(
  input: string | undefined,
  options: OutputOptions,
  io: EncryptionIo,
  work: (transfer: AgeTransfer) => Promise<void>,
): Promise<void> {
  const output = outputOf(options.output, io);
  const source = isStream(input) ? sourceOf(io) : undefined;
  const progress = await createProgress(io, !isStream(options.output) || !io.stdoutIsTerminal);
  try {
    await work({
      input: source ?? input ?? '-',
      output,
      force: options.force === true,
      signal: io.interrupted,
      ...(progress.show && { onProgress: progress.show }),
      ...(options.jobs !== undefined && { jobs: parseJobs(options.jobs) }),
    });
  } catch (error) {
    // A pipe that stays open would keep the process.
    source?.destroy();
    if (io.interrupted.aborted) throw new CliFailure('interrupted', { cause: error });
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw new CliFailure(error.detail, {
      hint: 'choose another name, or overwrite it with --force',
      cause: error,
    });
  } finally {
    progress.stop();
  }
}

/** Below this a bar would only flicker. */
const PROGRESS_BYTES_MIN = 8 * 1024 * 1024;
const MEBIBYTE = 1024 * 1024;

interface Progress {
  readonly show?: NonNullable<FileTransfer['onProgress']>;
  stop(): void;
}

async function createProgress(io: EncryptionIo, wanted: boolean): Promise<Progress> {
  if (!wanted || !io.stderrIsTerminal) return { stop: () => {} };
  const { default: cliProgress } = await import('cli-progress');
  let bar: InstanceType<typeof cliProgress.SingleBar> | undefined;
  let started = 0;
  return {
    show(done, total) {
      if (total === undefined || total < PROGRESS_BYTES_MIN) return;
      const now = io.clock.monotonic();
      if (!bar) {
        const format = '{bar} {percentage}% of {total} MiB, {rate} MiB/s, {eta_formatted} left';
        bar = new cliProgress.SingleBar({ stream: io.stderr, format, clearOnComplete: true });
        bar.start(Math.ceil(total / MEBIBYTE), 0, { rate: '-' });
        started = now;
      }
      // Nothing is known of the rate yet, and of the time left.
      if (done === 0) return;
      const seconds = (now - started) / 1000;
      const rate = seconds > 0 ? Math.round(done / MEBIBYTE / seconds) : '-';
      bar.update(Math.ceil(done / MEBIBYTE), { rate: String(rate) });
    },
    stop: () => bar?.stop(),
  };
}

/** Claims that the input is a directory. What cannot be seen is left to whoever opens it. */
export async function isDirectory(input: string | undefined): Promise<boolean> {
  if (input === undefined || isStream(input)) return false;
  const stats = await stat(input).catch((): Stats | undefined => undefined);
  return stats?.isDirectory() === true;
}

/** Stdin. A pipe is read by less costly means than the stream over it, which is silent as long as nobody reads it. */
function sourceOf({ stdin }: Pick<EncryptionIo, 'stdin'>): PipeSource {
  const fd = descriptorOf(stdin);
  return fd !== undefined && fstatSync(fd).isFIFO() ? createPipeSource(fd) : stdin;
}

/**
 * Where a named output is; stdout if it is absent or "-". A file that the shell opened for stdout is written behind this
 * thread's back, where the stream would hold it up.
 */
export function outputOf(
  output: string | undefined,
  io: Pick<EncryptionIo, 'stdout'>,
): FileTransfer['output'] {
  if (!isStream(output)) return output;
  const fd = descriptorOf(io.stdout);
  return fd !== undefined && fstatSync(fd).isFile() ? { descriptor: fd } : io.stdout;
}

/** The descriptor of a stream of the process. */
function descriptorOf(stream: object): number | undefined {
  return 'fd' in stream && typeof stream.fd === 'number' ? stream.fd : undefined;
}

/** Claims that a name stands for stdin or stdout. */
export function isStream(name: string | undefined): name is undefined | '-' {
  return name === undefined || name === '-';
}

function parseJobs(text: string): number {
  const jobs = Number(text);
  if (!/^\d{1,3}$/.test(text) || jobs < 1 || jobs > JOBS_MAX)
    throw usage(`--jobs is a number of threads from 1 to ${JOBS_MAX}`);
  return jobs;
}

const JOBS_MAX = 64;
