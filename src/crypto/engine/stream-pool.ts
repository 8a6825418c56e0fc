import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { engineProblems } from './problems.ts';
import type { StreamResult, StreamTask, StreamWork } from './stream-work.ts';

/** Threads that seal or open what is handed to them. */
export interface StreamPool {
  /** Rejects with `crypto.worker_failed` if the thread dies. The task's buffer is gone from here afterwards. */
  run(task: StreamTask): Promise<StreamResult>;
  /** Ends the threads, whatever they do. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (result: StreamResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The same extension as this file: .ts from source, .js in dist. */
const WORKER = new URL(`./stream-worker${extname(import.meta.url)}`, import.meta.url);
/** Plenty for buffers that live for one task; without a bound each thread would let its garbage grow. */
const WORKER_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 8 };

export function createStreamPool(jobs: number, workerData: StreamWork, worker: URL = WORKER): StreamPool {
  const threads = Array.from({ length: jobs }, () => startThread(workerData, worker));
  return {
    run(task) {
      // The least busy one; they answer in order.
      const thread = threads.reduce((a, b) => (b.waiting.length < a.waiting.length ? b : a));
      return thread.run(task);
    },
    async close() {
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}

function startThread(workerData: StreamWork, url: URL) {
  const waiting: Waiting[] = [];
  let death: Error | undefined;
  const thread = new Worker(url, { workerData, env: {}, execArgv: [], resourceLimits: WORKER_LIMITS });
  const died = (cause?: unknown): void => {
    death ??= engineProblems.worker_failed('a worker thread ended before its work', { cause });
    for (const { reject } of waiting.splice(0)) reject(death);
  };
  thread.on('message', (result: StreamResult) => waiting.shift()?.resolve(result));
  thread.on('error', died);
  thread.on('exit', () => died());
  return {
    waiting,
    run(task: StreamTask): Promise<StreamResult> {
      if (death) return Promise.reject(death);
      return new Promise((resolve, reject) => {
        waiting.push({ resolve, reject });
        thread.postMessage(task, [task.buffer]);
      });
    },
    close: () => thread.terminate(),
  };
}
