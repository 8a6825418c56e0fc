import { Worker } from 'node:worker_threads';
import { workerUrl } from '../worker-url.ts';
import type { Opened, WorkerAnswer, WorkerData, WorkerRequest } from './protocol.ts';

/** The serving thread's side of the index. Requests are answered in their order. */
export interface IndexThread {
  readonly opened: Opened;
  /** Rejects with `IndexFailure`. */
  ask<Kind extends WorkerAnswer['kind']>(
    request: WorkerRequest,
    kind: Kind,
  ): Promise<Extract<WorkerAnswer, { kind: Kind }>>;
  /** False once the thread has stopped. */
  isAlive(): boolean;
  close(): Promise<void>;
}

export class IndexFailure extends Error {
  override readonly name = 'IndexFailure';
  /** The index was damaged, was thrown away, and is empty now. */
  readonly isCorrupt: boolean;

  constructor(reason: string, isCorrupt = false) {
    super(reason);
    this.isCorrupt = isCorrupt;
  }
}

/** Starts the thread and opens the index in it. Rejects with `IndexFailure`. */
export async function startIndexThread(data: WorkerData): Promise<IndexThread> {
  const worker = new Worker(workerUrl('index-worker', import.meta.url), { workerData: data });
  const waiting: PromiseWithResolvers<WorkerAnswer>[] = [];
  let isAlive = true;
  const stop = (reason: string): void => {
    isAlive = false;
    for (const each of waiting.splice(0)) each.resolve({ kind: 'failed', reason, isCorrupt: false });
  };
  worker.on('message', (answer: WorkerAnswer) => {
    waiting.shift()?.resolve(answer);
    if (waiting.length === 0) worker.unref();
  });
  worker.on('error', (error) => stop(error.message));
  worker.on('exit', () => stop('the thread of the search index has stopped'));
  const { opened } = await next('opened');

  const thread: IndexThread = {
    opened,
    ask(request, kind) {
      if (!isAlive) return Promise.reject(new IndexFailure('the thread of the search index has stopped'));
      worker.postMessage(request, []);
      return next(kind);
    },
    isAlive: () => isAlive,
    async close() {
      if (!isAlive) return;
      const exit = new Promise<void>((resolve) => {
        worker.once('exit', () => resolve());
      });
      worker.ref();
      worker.postMessage({ kind: 'close' } satisfies WorkerRequest, []);
      await exit;
    },
  };
  return thread;

  async function next<Kind extends WorkerAnswer['kind']>(
    kind: Kind,
  ): Promise<Extract<WorkerAnswer, { kind: Kind }>> {
    const answer = Promise.withResolvers<WorkerAnswer>();
    waiting.push(answer);
    worker.ref();
    const given = await answer.promise;
    if (given.kind === 'failed') throw new IndexFailure(given.reason, given.isCorrupt);
    if (given.kind !== kind) throw new IndexFailure(`the search index answered "${given.kind}"`);
    return given as Extract<WorkerAnswer, { kind: Kind }>;
  }
}
