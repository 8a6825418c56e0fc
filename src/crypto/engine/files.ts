import { availableParallelism } from 'node:os';
import type { Opening, Sealing } from '../age/file-key.ts';
import { openFilePair, sealFilePair } from './age-files.ts';
import { decryptInParallel, encryptInParallel } from './age-streams.ts';
import type { Parallelism } from './payload-pipeline.ts';
import { checkTransfer, type FileTransfer, transformFile } from './transfer.ts';

/** Where an age file comes from and goes to, and how much of the machine it may use. */
export interface AgeTransfer extends FileTransfer, Partial<Parallelism> {}

/** More threads than these only wait for the memory. */
const JOBS_MAX = 4;
/** Below it, starting threads takes longer than they save. */
const PARALLEL_BYTES_MIN = 8 * 1024 * 1024;

/** How many threads are used if nobody says: one a core, up to four. */
export function defaultJobs(): number {
  return Math.min(availableParallelism(), JOBS_MAX);
}

/**
 * Encrypts to an age file: an output file appears whole, mode 0600, durable, or not at all; an output stream or
 * descriptor gets what was made before a failure. Throws as `transformFile`, and `crypto.invalid_key`,
 * `crypto.unsupported_key` or `crypto.worker_failed`.
 */
export async function encryptFile(
  options: AgeTransfer & Sealing & { readonly armor?: boolean },
): Promise<void> {
  const armored = options.armor === true;
  const parallelism = { ...parallelismOf(options), reuse: !armored && keepsNothing(options.output) };
  const pair = armored ? undefined : await pairOf(options);
  if (pair) return sealFilePair({ ...pair, ...parallelism }, options);
  return transformFile(options, (source) => encryptInParallel(source, options, parallelism));
}

/**
 * Decrypts an age file, armored or not, to what `encryptFile` says of outputs. Nothing is written before it is verified.
 * Throws as `transformFile` and `decryptStream`, or `crypto.worker_failed`.
 */
export async function decryptFile(options: AgeTransfer & Opening): Promise<void> {
  const parallelism = { ...parallelismOf(options), reuse: keepsNothing(options.output) };
  const pair = await pairOf(options);
  if (pair && (await openFilePair({ ...pair, ...parallelism }, options))) return;
  return transformFile(options, (source) => decryptInParallel(source, options, parallelism));
}

/** A stream might keep the pieces it is given; a file has no use for them once they are written. */
function keepsNothing(output: AgeTransfer['output']): boolean {
  return typeof output === 'string' || 'descriptor' in output;
}

/** The shares that are used if nobody says. Throws RangeError. */
export function parallelismOf({
  jobs = defaultJobs(),
  parallelBytesMin = PARALLEL_BYTES_MIN,
}: Partial<Parallelism>): Parallelism {
  if (!Number.isInteger(jobs) || jobs < 1)
    throw new RangeError(`jobs must be a whole number from 1, not ${jobs}`);
  return { jobs, parallelBytesMin };
}

/**
 * The two paths, if both are regular files. Files that claim to be empty are read as streams: those of `/proc` lie. Throws
 * as `checkTransfer`.
 */
async function pairOf({ input, output, force = false, signal, onProgress }: AgeTransfer) {
  if (typeof input !== 'string' || typeof output !== 'string') return undefined;
  const size = await checkTransfer({ input, output, force, signal });
  return size === undefined || size === 0 ? undefined : { input, output, force, signal, onProgress };
}
