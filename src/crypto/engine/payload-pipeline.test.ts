import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import test from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { isProblem } from '../../kernel/problem.ts';
import { CHUNK_BYTES, openPayload, SALT_BYTES, SEALED_CHUNK_BYTES, sealPayload } from '../age/payload.ts';
import { cryptoProblems } from '../problems.ts';
import { collect, drain, streamOf } from '../testing.ts';
import { openPayloadInParallel, type Parallelism, sealPayloadInParallel } from './payload-pipeline.ts';
import { engineProblems } from './problems.ts';
import { createStreamPool } from './stream-pool.ts';

const fileKey = Buffer.alloc(16, 7);
/** Threads from the first byte, and from somewhere in the middle. */
const SHARES = [
  { jobs: 2, parallelBytesMin: 0 },
  { jobs: 3, parallelBytesMin: 5 * CHUNK_BYTES },
] as const satisfies readonly Parallelism[];

test('the pipeline and the single thread read each other, in order, for any pieces', async () => {
  for (const [size, piece, share] of [
    [0, undefined, SHARES[0]],
    [16 * CHUNK_BYTES, 9973, SHARES[0]],
    [70 * CHUNK_BYTES + 3, undefined, SHARES[0]],
    [70 * CHUNK_BYTES + 3, 9973, SHARES[1]],
  ] as const) {
    const plaintext = randomBytes(size);
    const sealed = await collect(sealPayloadInParallel(fileKey, streamOf(plaintext, piece), share));
    assert.ok((await collect(openPayload(fileKey, streamOf(sealed)))).equals(plaintext));
    const opened = await collect(openPayloadInParallel(fileKey, streamOf(sealed, piece), share));
    assert.ok(opened.equals(plaintext), `${size} bytes, pieces of ${piece}`);
  }
});

test('what is wrong is told as by the single thread, after the same plaintext', async () => {
  const plaintext = randomBytes(40 * CHUNK_BYTES + 100);
  const whole = await collect(sealPayload(fileKey, streamOf(plaintext)));
  const chunk = (number: number) => SALT_BYTES + number * SEALED_CHUNK_BYTES;
  const flipped = (...places: number[]) => {
    const changed = Buffer.from(whole);
    for (const at of places) changed[at] = (changed[at] as number) ^ 1;
    return changed;
  };
  const cases: Readonly<Record<string, Buffer>> = {
    'two chunks changed': flipped(chunk(35) + 9, chunk(20) + 9),
    'cut at a chunk border': whole.subarray(0, chunk(32)),
    'bytes added': Buffer.concat([whole, Buffer.from('more')]),
    'two chunks swapped': Buffer.concat([
      whole.subarray(0, chunk(17)),
      whole.subarray(chunk(18), chunk(19)),
      whole.subarray(chunk(17), chunk(18)),
      whole.subarray(chunk(19)),
    ]),
    'one chunk twice': Buffer.concat([whole.subarray(0, chunk(18)), whole.subarray(chunk(17))]),
    'cut inside the salt': whole.subarray(0, 10),
  };
  for (const [name, sealed] of Object.entries(cases)) {
    const alone = await drain(openPayload(fileKey, streamOf(sealed, 100_000)));
    assert.ok(isProblem(alone.error), name);
    const share = { jobs: 2, parallelBytesMin: 5 * CHUNK_BYTES };
    const { bytes, error } = await drain(openPayloadInParallel(fileKey, streamOf(sealed, 100_000), share));
    assert.ok(isProblem(error), name);
    assert.deepEqual([error.code, error.detail], [alone.error.code, alone.error.detail]);
    assert.ok(bytes.equals(alone.bytes), name);
  }
});

test('what a slow source gave is released before it gives more', async () => {
  let more: (() => void) | undefined;
  async function* slow(): AsyncGenerator<Uint8Array> {
    yield randomBytes(3 * CHUNK_BYTES);
    await new Promise<void>((resolve) => {
      more = resolve;
    });
    yield randomBytes(CHUNK_BYTES);
  }
  const sealed = sealPayloadInParallel(fileKey, slow(), { jobs: 2, parallelBytesMin: 0 });
  assert.equal((await sealed.next()).value?.length, SALT_BYTES);
  const early = (await sealed.next()).value as Uint8Array;
  // The third chunk could be the last one, so it is held.
  assert.equal(early.length, 2 * SEALED_CHUNK_BYTES);
  more?.();
  assert.equal((await collect(sealed)).length, 2 * SEALED_CHUNK_BYTES);
});

test('no more is read ahead than a few segments', async () => {
  let given = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (;;) {
      yield Buffer.alloc(CHUNK_BYTES);
      given += CHUNK_BYTES;
    }
  }
  const sealed = sealPayloadInParallel(fileKey, endless(), { jobs: 2, parallelBytesMin: 0 });
  await sealed.next();
  await sealed.next();
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.ok(given < 10 * 2 ** 20, `${given} bytes were read`);
  await sealed.return(undefined);
});

test('a reader that stops, and a source that fails, leave no thread', async () => {
  const before = workers();
  const parallelism = { jobs: 2, parallelBytesMin: 0 };
  const stopped = sealPayloadInParallel(
    fileKey,
    streamOf(randomBytes(60 * CHUNK_BYTES), 50_000),
    parallelism,
  );
  await stopped.next();
  await stopped.next();
  await stopped.return(undefined);
  assert.ok(workers() <= before);
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield randomBytes(20 * CHUNK_BYTES);
    throw new Error('the network is gone');
  }
  await assert.rejects(collect(sealPayloadInParallel(fileKey, broken(), parallelism)), /network is gone/);
  assert.ok(workers() <= before);
});

test('a thread that dies fails its tasks and all later ones', async () => {
  const worker = new URL(`data:text/javascript,${encodeURIComponent('process.exit(1)')}`);
  const { createSecretKey } = await import('node:crypto');
  const pool = createStreamPool(1, { direction: 'seal', key: createSecretKey(randomBytes(32)) }, worker);
  const task = () => ({
    buffer: new ArrayBuffer(SEALED_CHUNK_BYTES),
    start: 0,
    bytes: 5,
    first: 0,
    last: true,
  });
  const failed = (error: unknown) => isProblem(error, engineProblems.worker_failed);
  await assert.rejects(pool.run(task()), failed);
  await assert.rejects(pool.run(task()), failed);
  await pool.close();
});

test('a wrong key releases nothing', async () => {
  const sealed = await collect(sealPayload(fileKey, streamOf(randomBytes(20 * CHUNK_BYTES))));
  for (const share of SHARES) {
    const { bytes, error } = await drain(openPayloadInParallel(Buffer.alloc(16, 8), streamOf(sealed), share));
    assert.ok(isProblem(error, cryptoProblems.tampered));
    assert.equal(bytes.length, 0);
  }
});

/** Threads of this process that are alive. */
function workers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
}
