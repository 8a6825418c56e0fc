import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import {
  CHUNK_BYTES,
  payloadKey,
  SALT_BYTES,
  SEALED_CHUNK_BYTES,
  sealChunks,
  splitChunks,
} from '../age/payload.ts';
import { cryptoProblems } from '../problems.ts';
import { temporaryDirectory } from '../testing.ts';
import { engineProblems } from './problems.ts';
import { runSegments, type SegmentJob } from './segment-pool.ts';

const key = payloadKey(Buffer.alloc(16, 5), Buffer.alloc(SALT_BYTES));
const SIZES = [1, CHUNK_BYTES, 16 * CHUNK_BYTES, 16 * CHUNK_BYTES + 1, 50 * CHUNK_BYTES + 9];

for (const jobs of [1, 3]) {
  test(`${jobs} threads write what one pass over the chunks gives`, async (t) => {
    for (const size of jobs === 1 ? SIZES : SIZES.slice(3)) {
      const plaintext = randomBytes(size);
      const expected = Buffer.concat(sealChunks(key, 0, splitChunks(plaintext, CHUNK_BYTES), true));
      const sealed = await run(t, { direction: 'seal', content: plaintext, jobs });
      assert.ok(sealed.equals(expected), `${size} bytes sealed`);
      const opened = await run(t, { direction: 'open', content: expected, jobs });
      assert.ok(opened.equals(plaintext), `${size} bytes opened`);
    }
  });
}

test('of several bad chunks the first is named, whichever thread meets one first', async (t) => {
  const chunks = Array.from({ length: 64 }, () => randomBytes(CHUNK_BYTES));
  const sealed = Buffer.concat(sealChunks(key, 0, chunks, true));
  for (const bad of [18, 33, 49, 63]) {
    const at = bad * SEALED_CHUNK_BYTES + 77;
    sealed[at] = (sealed[at] as number) ^ 1;
  }
  for (const jobs of [1, 2]) {
    const error = await failure(run(t, { direction: 'open', content: sealed, jobs }));
    assert.ok(isProblem(error, cryptoProblems.tampered), String(error));
    assert.equal(error.members['chunk'], 18);
    assert.equal(error.detail, 'chunk 18 was changed');
  }
  const cut = sealed.subarray(0, 17 * SEALED_CHUNK_BYTES);
  const error = await failure(run(t, { direction: 'open', content: cut, jobs: 2 }));
  assert.ok(isProblem(error, cryptoProblems.truncated), String(error));
  assert.equal(error.members['chunk'], 16);
});

test('a thread that dies is told, and the others end', async (t) => {
  const content = randomBytes(64 * CHUNK_BYTES);
  for (const dying of ['process.exit(3)', 'throw new Error("bad memory")', 'await import("nowhere")']) {
    const worker = new URL(`data:text/javascript,${encodeURIComponent(dying)}`);
    const error = await failure(run(t, { direction: 'seal', content, jobs: 2, worker }));
    assert.ok(isProblem(error, engineProblems.worker_failed), String(error));
  }
});

test('an output that cannot be written is told with its code', async (t) => {
  const directory = await temporaryDirectory(t);
  await writeFile(join(directory, 'in'), randomBytes(40 * CHUNK_BYTES));
  await writeFile(join(directory, 'out'), '');
  await using input = await open(join(directory, 'in'));
  // Opened for reading: writing fails in every thread.
  await using output = await open(join(directory, 'out'));
  const plan = { direction: 'seal', inputStart: 0, outputStart: 0, inputBytes: 40 * CHUNK_BYTES } as const;
  for (const jobs of [1, 2]) {
    const error = await failure(runSegments({ plan, key, input: input.fd, output: output.fd, jobs }));
    assert.equal((error as NodeJS.ErrnoException).code, 'EBADF');
  }
});

test('an input that shrinks under the threads is told as one that cannot be read', async (t) => {
  const content = randomBytes(40 * CHUNK_BYTES);
  for (const jobs of [1, 2]) {
    const error = await failure(run(t, { direction: 'seal', content, jobs, claimed: content.length + 1 }));
    assert.ok(isProblem(error, cryptoProblems.input_unreadable), String(error));
  }
});

test('an abort ends the threads before the promise settles', async (t) => {
  const content = randomBytes(200 * CHUNK_BYTES);
  for (const jobs of [1, 2]) {
    const stop = new AbortController();
    const before = workers();
    const running = run(t, { direction: 'seal', content, jobs, signal: stop.signal });
    setImmediate(() => stop.abort(new Error('enough')));
    assert.match(String(await failure(running)), /enough/);
    assert.ok(workers() <= before);
    const early = run(t, {
      direction: 'seal',
      content,
      jobs,
      signal: AbortSignal.abort(new Error('before')),
    });
    assert.match(String(await failure(early)), /before/);
  }
});

test('progress ends at the size of the input', async (t) => {
  for (const jobs of [1, 2]) {
    const seen: number[] = [];
    const content = randomBytes(40 * CHUNK_BYTES);
    await run(t, { direction: 'seal', content, jobs, onProgress: (done) => void seen.push(done) });
    assert.equal(seen.at(-1), content.length);
    assert.deepEqual(
      seen,
      seen.toSorted((a, b) => a - b),
    );
  }
});

interface Run extends Pick<SegmentJob, 'jobs' | 'signal' | 'onProgress'> {
  readonly direction: 'seal' | 'open';
  readonly content: Uint8Array;
  readonly claimed?: number;
  readonly worker?: URL;
}

async function run(t: TestContext, { direction, content, claimed, worker, ...job }: Run): Promise<Buffer> {
  const directory = await temporaryDirectory(t);
  const [from, to] = [join(directory, 'in'), join(directory, 'out')];
  await writeFile(from, content);
  await using input = await open(from);
  await using output = await open(to, 'wx');
  const plan = { direction, inputStart: 0, outputStart: 0, inputBytes: claimed ?? content.length };
  await runSegments({ plan, key, input: input.fd, output: output.fd, ...job }, worker);
  return readFile(to);
}

function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error,
  );
}

/** Threads of this process that are alive. */
function workers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
}
