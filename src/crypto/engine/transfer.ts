import { createReadStream, write } from 'node:fs';
import { lstat, stat } from 'node:fs/promises';
import type { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { codeOf, type SequentialFile, writeAll, writeDurably } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';

/** An open regular file, written from where it stands on. The process keeps it open. */
interface Descriptor {
  readonly descriptor: number;
}

/** From where to where. A path or a stream on either side. */
export interface FileTransfer {
  readonly input: string | AsyncIterable<Uint8Array>;
  readonly output: string | Writable | Descriptor;
  /** Overwrites an existing output file. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
  /** Called as the input is read. `total` is undefined where it is not known beforehand. */
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/** Pieces of this size keep the threads of the file system and the cipher busy at once; memory stays flat. */
const READ_BYTES = 1024 * 1024;

/**
 * Runs a file through `transform`. An output file appears whole, mode 0600, durable, or not at all; nothing is left after
 * a failure or an abort. An output stream or descriptor gets what was transformed before the failure; it is not ended.
 *
 * Throws `crypto.output_exists`, `crypto.output_refused`, `crypto.input_unreadable`, `crypto.not_writable`, what `transform`
 * throws, or the signal's reason.
 */
export async function transformFile(
  { input, output, force = false, signal, onProgress }: FileTransfer,
  transform: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): Promise<void> {
  await checkTransfer({ input, output, force, signal });
  const source = transform(
    await openInput({ input, ...(signal && { signal }), ...(onProgress && { onProgress }) }),
  );
  if (typeof output === 'string') await writeDurably({ path: output, source, replace: force });
  else if ('descriptor' in output) await writeAll(sequential(output), source);
  else await writeStream(output, source, signal);
}

/** The input as a stream that ends with the signal and tells its progress. Throws `crypto.input_unreadable`. */
export async function openInput({
  input,
  signal,
  onProgress,
}: Pick<FileTransfer, 'input' | 'signal' | 'onProgress'>): Promise<AsyncIterable<Uint8Array>> {
  const total = typeof input === 'string' ? await checkInput(input) : undefined;
  const pieces = typeof input === 'string' ? readPath(input) : input;
  return watched(pieces, signal, (done) => onProgress?.(done, total));
}

/**
 * Refuses what cannot be read or must not be overwritten. Gives the input's size in bytes; undefined for what is not a
 * regular file, such as a pipe. Throws as `transformFile`.
 */
export async function checkTransfer({
  input,
  output,
  force,
  signal,
}: Pick<FileTransfer, 'input' | 'output'> & {
  readonly force: boolean;
  readonly signal: AbortSignal | undefined;
}): Promise<number | undefined> {
  signal?.throwIfAborted();
  const total = typeof input === 'string' ? await checkInput(input) : undefined;
  if (typeof output === 'string') await checkOutput(output, force, input);
  return total;
}

async function checkInput(path: string): Promise<number | undefined> {
  const stats = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (stats.isDirectory()) throw cryptoProblems.input_unreadable(`"${path}" is a directory`);
  return stats.isFile() ? stats.size : undefined;
}

export async function checkOutput(path: string, force: boolean, input: FileTransfer['input']): Promise<void> {
  const stats = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw cryptoProblems.not_writable(`"${path}" cannot be written (${codeOf(error)})`, { cause: error });
  });
  if (!stats) return;
  const refused = (what: string) => cryptoProblems.output_refused(`"${path}" ${what}`);
  if (typeof input === 'string') {
    const source = await stat(input);
    if (source.dev === stats.dev && source.ino === stats.ino) throw refused('is the input itself');
  }
  if (stats.isSymbolicLink()) throw refused('is a symbolic link');
  if (!stats.isFile()) throw refused('is not a regular file');
  // Replacing one name would leave the old content under the others, which nobody expects of "overwrite".
  if (stats.nlink > 1) throw refused('is one of several hard links to the same file');
  if (!force) throw cryptoProblems.output_exists(`"${path}" exists`);
}

async function* readPath(path: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const piece of createReadStream(path, { highWaterMark: READ_BYTES })) yield piece as Buffer;
  } catch (error) {
    throw codeOf(error) === undefined ? error : unreadable(path, error);
  }
}

/** Counts what passes. Ends with the signal's reason even while the source is silent, as an open terminal is. */
async function* watched(
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
  count: (done: number) => void,
): AsyncGenerator<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]();
  // Not Promise.race with one promise for the abort: that would keep every piece alive until the end.
  let giveUp: ((reason: unknown) => void) | undefined;
  const onAbort = (): void => giveUp?.(signal?.reason);
  const next = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      giveUp = reject;
      iterator.next().then(resolve, reject);
    });
  signal?.addEventListener('abort', onAbort, { once: true });
  let done = 0;
  let ended = false;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = await next();
      if (step.done === true) break;
      done += step.value.length;
      count(done);
      yield step.value;
    }
    ended = true;
  } finally {
    signal?.removeEventListener('abort', onAbort);
    // Not awaited: a generator with a read under way answers only when that read does.
    if (!ended) void iterator.return?.()?.catch(() => {});
  }
}

const writeAsync = promisify(write);

function sequential({ descriptor }: Descriptor): SequentialFile {
  return {
    write: (piece, offset) => writeAsync(descriptor, piece, offset, piece.length - offset, null),
  };
}

async function writeStream(
  output: Writable,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<void> {
  // The callback of the write tells the error; without a listener the event that follows it would end the process.
  const ignore = (): void => {};
  output.on('error', ignore);
  let giveUp: ((reason: unknown) => void) | undefined;
  // A reader that takes nothing, such as a pager, must not hold up an interruption.
  const onAbort = (): void => giveUp?.(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const piece of source) {
      signal?.throwIfAborted();
      await new Promise<void>((resolve, reject) => {
        giveUp = reject;
        output.write(piece, (error) => (error ? reject(error) : resolve()));
      });
    }
    output.off('error', ignore);
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** The problem of an input that could not be opened or read. */
export function unreadable(path: string, error: unknown): Error {
  const reason = codeOf(error) === 'ENOENT' ? 'does not exist' : `cannot be read (${codeOf(error)})`;
  return cryptoProblems.input_unreadable(`"${path}" ${reason}`, { cause: error });
}
