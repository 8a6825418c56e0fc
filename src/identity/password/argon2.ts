import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Argon2Cost } from './phc.ts';

/** One argon2id computation. `associatedData` is the id of the user that the hash belongs to. */
export interface Derivation extends Argon2Cost {
  readonly password: string;
  readonly salt: Uint8Array;
  readonly tagBytes: number;
  readonly pepperVersion: number;
  readonly associatedData: string;
}

/** Computes tags. Rejects if the computation is impossible or the thread died under it. */
export interface Argon2 {
  derive(job: Derivation): Promise<Uint8Array>;
  close(): Promise<void>;
}

/** Raw pepper bytes by key version, asked for with each job: argon2 takes no KeyObject. */
export type Peppers = Pick<ReadonlyMap<number, Uint8Array>, 'get'>;

export interface WorkerJob extends Derivation {
  readonly id: number;
  readonly pepper: Uint8Array;
}

export type WorkerAnswer =
  | { readonly id: number; readonly tag: Uint8Array }
  | { readonly id: number; readonly error: string };

/** Argon2 in one worker thread, started at the first use and again if it dies. An idle thread keeps no process alive. */
export function createArgon2Worker({ peppers }: { readonly peppers: Peppers }): Argon2 {
  // The same extension as this file: .ts from source, .js in dist.
  const entry = new URL(`./worker${extname(import.meta.url)}`, import.meta.url);
  const waiting = new Map<number, { resolve(tag: Uint8Array): void; reject(error: Error): void }>();
  let thread: Worker | undefined;
  let closed = false;
  let lastId = 0;

  function start(): Worker {
    const worker = new Worker(entry, { env: {}, execArgv: [] });
    worker.on('message', (answer: WorkerAnswer) => {
      const job = waiting.get(answer.id);
      waiting.delete(answer.id);
      if (waiting.size === 0) worker.unref();
      if ('tag' in answer) job?.resolve(answer.tag);
      else job?.reject(new Error(answer.error));
    });
    worker.on('error', (error) => lost(worker, error));
    worker.on('exit', () => lost(worker, new Error('the hashing thread ended')));
    return worker;
  }

  function lost(worker: Worker, error: unknown): void {
    if (thread !== worker) return;
    thread = undefined;
    const jobs = [...waiting.values()];
    waiting.clear();
    for (const job of jobs) job.reject(new Error('the hashing thread failed', { cause: error }));
  }

  return {
    derive(job) {
      if (closed) return Promise.reject(new Error('password hashing is closed'));
      const pepper = peppers.get(job.pepperVersion);
      if (pepper === undefined) {
        return Promise.reject(new Error(`no version ${job.pepperVersion} of the password pepper`));
      }
      const worker = (thread ??= start());
      const id = ++lastId;
      return new Promise((resolve, reject) => {
        waiting.set(id, { resolve, reject });
        worker.ref();
        worker.postMessage({ ...job, id, pepper } satisfies WorkerJob);
      });
    },
    async close() {
      closed = true;
      await thread?.terminate();
    },
  };
}
