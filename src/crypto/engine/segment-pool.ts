import type { KeyObject } from 'node:crypto';
import { extname } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { problemOf } from '../age/payload.ts';
import { errorOf } from './failed.ts';
import { engineProblems } from './problems.ts';
import { DONE, doSegments, LIMIT, type SegmentReport, type SegmentWork } from './segment-work.ts';
import { type PayloadPlan, segmentCount, segmentStart } from './segments.ts';

export interface SegmentJob {
  readonly plan: PayloadPlan;
  readonly key: KeyObject;
  /** Descriptors of regular files. They must stay open until the promise settles. */
  readonly input: number;
  readonly output: number;
  /** Threads, of which this one is the first. */
  readonly jobs: number;
  readonly signal?: AbortSignal | undefined;
  /** Input bytes done. */
  readonly onProgress?: ((done: number) => void) | undefined;
}

/** The same extension as this file: .ts from source, .js in dist. */
const WORKER = new URL(`./segment-worker${extname(import.meta.url)}`, import.meta.url);
/** A millisecond or two of work. */
const SEGMENTS_A_TURN = 4;
const NO_LIMIT = 2 ** 31 - 1;
/** Plenty for buffers that live for one segment; without a bound each thread would let its garbage grow. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

/**
 * Does all segments of a payload. Throws the problem of the first chunk that does not open (`crypto.tampered` or
 * `crypto.truncated`), whichever thread met it, `crypto.input_unreadable`, `crypto.worker_failed`, the signal's reason, or
 * an error of writing. When it settles, no thread is left.
 */
export async function runSegments(job: SegmentJob, worker: URL = WORKER): Promise<void> {
  const { plan, key, input, output, jobs, signal, onProgress } = job;
  signal?.throwIfAborted();
  const control = new Int32Array(new SharedArrayBuffer(12));
  Atomics.store(control, LIMIT, NO_LIMIT);
  const stop = (): void => void Atomics.store(control, LIMIT, 0);
  signal?.addEventListener('abort', stop, { once: true });
  try {
    const work: SegmentWork = { plan, key, input, output, control };
    const others = Array.from({ length: Math.min(jobs, segmentCount(plan)) - 1 }, async () => {
      const report = await reportOf(worker, work);
      if (report.kind === 'died') stop();
      return report;
    });
    const own = workHere(work, () => onProgress?.(segmentStart(plan, Atomics.load(control, DONE))));
    // All are waited for, whatever happens: one that still ran would write to a descriptor closed meanwhile.
    const reports = await Promise.all([own, ...others]);
    signal?.throwIfAborted();
    conclude(reports);
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  onProgress?.(plan.inputBytes);
}

/** This thread's share, begun while the others start. */
async function workHere(work: SegmentWork, tell: () => void): Promise<SegmentReport> {
  const segments = doSegments(work);
  for (let done = 1; ; done++) {
    const step = segments.next();
    if (step.done === true) return step.value;
    if (done % SEGMENTS_A_TURN > 0) continue;
    tell();
    // Signals need their turn.
    await setImmediate();
  }
}

type Report = SegmentReport | { readonly kind: 'died'; readonly cause: unknown };

/** Resolves when the thread is gone. */
function reportOf(worker: URL, workerData: SegmentWork): Promise<Report> {
  return new Promise((resolve) => {
    let report: Report = { kind: 'died', cause: undefined };
    const thread = new Worker(worker, { workerData, env: {}, execArgv: [], resourceLimits: WORKER_LIMITS });
    thread.on('message', (message: SegmentReport) => {
      report = message;
    });
    thread.on('error', (cause) => {
      report = { kind: 'died', cause };
    });
    thread.on('exit', () => resolve(report));
  });
}

/** Throws what is worst: damage in the data is told only if every thread could have met it. */
function conclude(reports: readonly Report[]): void {
  for (const report of reports) {
    if (report.kind === 'died')
      throw engineProblems.worker_failed('a worker thread ended before its work', { cause: report.cause });
    if (report.kind === 'failed') throw errorOf(report.error);
  }
  const [first] = reports
    .flatMap((report) => (report.kind === 'bad' ? [report.failure] : []))
    .toSorted((a, b) => a.chunk - b.chunk);
  if (first) throw problemOf(first);
}
