import { argon2Sync } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { WorkerAnswer, WorkerJob } from './argon2.ts';

/** The hashing thread: one argon2id at a time, so that libuv's pool stays free for files and DNS. */
parentPort?.on('message', (job: WorkerJob) => {
  parentPort?.postMessage(answer(job));
});

function answer(job: WorkerJob): WorkerAnswer {
  try {
    const tag = argon2Sync('argon2id', {
      message: job.password,
      nonce: job.salt,
      memory: job.memoryKib,
      passes: job.passes,
      parallelism: job.parallelism,
      tagLength: job.tagBytes,
      secret: job.pepper,
      associatedData: Buffer.from(job.associatedData),
    });
    return { id: job.id, tag };
  } catch (error) {
    return { id: job.id, error: error instanceof Error ? error.message : 'argon2 failed' };
  }
}
