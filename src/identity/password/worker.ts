import { argon2Sync } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import type { Derivation, WorkerAnswer, WorkerStart } from './argon2.ts';

/** The hashing thread: one argon2id at a time, so that libuv's pool stays free for files and DNS. */
const { peppers } = workerData as WorkerStart;

parentPort?.on('message', (job: Derivation & { readonly id: number }) => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage(answer(job));
});

function answer(job: Derivation & { readonly id: number }): WorkerAnswer {
  try {
    const secret = peppers.get(job.pepperVersion);
    if (secret === undefined) throw new Error(`no version ${job.pepperVersion} of the password pepper`);
    const tag = argon2Sync('argon2id', {
      message: job.password,
      nonce: job.salt,
      memory: job.memoryKib,
      passes: job.passes,
      parallelism: job.parallelism,
      tagLength: job.tagBytes,
      secret,
      associatedData: Buffer.from(job.associatedData),
    });
    return { id: job.id, tag };
  } catch (error) {
    return { id: job.id, error: error instanceof Error ? error.message : 'argon2 failed' };
  }
}
