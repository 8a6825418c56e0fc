import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createManualClock, systemClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { identityProblems } from '../problems.ts';
import { type Argon2, createArgon2Worker, type Derivation } from './argon2.ts';
import { createPasswordHasher, PASSWORD_COST } from './hasher.ts';
import { parsePhc } from './phc.ts';

const CHEAP = { memoryKib: 8, passes: 1, parallelism: 1 };
const peppers = new Map<number, Uint8Array>([
  [1, Buffer.alloc(32, 1)],
  [2, Buffer.alloc(32, 2)],
]);
const argon2 = createArgon2Worker({ peppers });
after(() => argon2.close());
const hasher = createPasswordHasher({ argon2, pepperVersion: () => 1, clock: systemClock, cost: CHEAP });

test('a password verifies against its own hash, in the thread, at the stated cost', async () => {
  const real = createPasswordHasher({ argon2, pepperVersion: () => 1, clock: systemClock });
  const stored = await real.hash('violet tubas at noon', 'usr_1');
  const phc = parsePhc(stored);
  assert.deepEqual(PASSWORD_COST, { memoryKib: 19_456, passes: 2, parallelism: 1 });
  assert.equal(phc?.memoryKib, 19_456);
  assert.equal(phc?.salt.length, 16);
  assert.equal(phc?.tag.length, 32);
  assert.equal(await real.verify('violet tubas at noon', 'usr_1', stored), 'match');
  assert.equal(await real.verify('violet tubas at noom', 'usr_1', stored), 'mismatch');
});

test('two hashes of one password differ', async () => {
  assert.notEqual(await hasher.hash('same', 'usr_1'), await hasher.hash('same', 'usr_1'));
});

test('a hash copied to the row of another user does not verify', async () => {
  const stored = await hasher.hash('violet tubas at noon', 'usr_1');
  assert.equal(await hasher.verify('violet tubas at noon', 'usr_2', stored), 'mismatch');
});

test('a hash made under another pepper verifies with that one alone and asks to be made anew', async () => {
  const stored = await hasher.hash('violet tubas at noon', 'usr_1');
  const rotated = createPasswordHasher({ argon2, pepperVersion: () => 2, clock: systemClock, cost: CHEAP });
  assert.equal(await rotated.verify('violet tubas at noon', 'usr_1', stored), 'match_stale');
  assert.equal(
    await rotated.verify('violet tubas at noon', 'usr_1', stored.replace('keyid=MQ', 'keyid=Mg')),
    'mismatch',
  );
});

test('a hash at another cost asks to be made anew', async () => {
  const stored = await hasher.hash('violet tubas at noon', 'usr_1');
  const dearer = createPasswordHasher({
    argon2,
    pepperVersion: () => 1,
    clock: systemClock,
    cost: { ...CHEAP, passes: 2 },
  });
  assert.equal(await dearer.verify('violet tubas at noon', 'usr_1', stored), 'match_stale');
  assert.equal(await dearer.verify('another password', 'usr_1', stored), 'mismatch');
});

test('without a stored hash, or with a damaged one, the same work is done and nothing matches', async () => {
  const { double, jobs } = createSteppedArgon2();
  const stepped = createPasswordHasher({ argon2: double, pepperVersion: () => 1, clock: systemClock });
  for (const [stored, verdict] of [
    [null, 'mismatch'],
    ['$argon2id$damaged', 'unreadable'],
  ] as const) {
    const pending = stepped.verify('anything', 'usr_1', stored);
    const job = jobs.shift();
    assert.deepEqual(
      { memoryKib: job?.memoryKib, passes: job?.passes, parallelism: job?.parallelism, bytes: job?.tagBytes },
      { ...PASSWORD_COST, bytes: 32 },
    );
    job?.finish();
    assert.equal(await pending, verdict);
  }
});

test('one job runs at a time, 64 wait, and the next is refused as busy with a time to come back', async () => {
  const { double, jobs } = createSteppedArgon2();
  const stepped = createPasswordHasher({ argon2: double, pepperVersion: () => 1, clock: systemClock });
  const accepted = Array.from({ length: 65 }, () => stepped.verify('x', 'usr_1', null));
  assert.equal(jobs.length, 1);
  await assert.rejects(stepped.verify('x', 'usr_1', null), (error) => {
    assert.ok(isProblem(error, identityProblems.busy));
    assert.equal(error.status, 503);
    assert.equal(error.headers['retry-after'], '2');
    return true;
  });
  for (let i = 0; i < accepted.length; i++) {
    jobs.shift()?.finish();
    assert.equal(await accepted[i], 'mismatch');
  }
});

test('a job that waited longer than two seconds is dropped unhashed', async () => {
  const clock = createManualClock();
  const { double, jobs } = createSteppedArgon2();
  const stepped = createPasswordHasher({ argon2: double, pepperVersion: () => 1, clock });
  const first = stepped.verify('x', 'usr_1', null);
  const late = assert.rejects(stepped.verify('x', 'usr_1', null), (error) =>
    isProblem(error, identityProblems.busy),
  );
  clock.advance(2_001);
  const inTime = stepped.verify('x', 'usr_1', null);
  jobs.shift()?.finish();
  await first;
  await late;
  assert.equal(jobs.length, 1);
  jobs.shift()?.finish();
  assert.equal(await inTime, 'mismatch');
});

test('a computation that fails is refused as busy, and the next one runs', async () => {
  await assert.rejects(
    createPasswordHasher({ argon2, pepperVersion: () => 9, clock: systemClock, cost: CHEAP }).hash(
      'x',
      'usr_1',
    ),
    (error) => isProblem(error, identityProblems.busy),
  );
  assert.equal(await hasher.verify('x', 'usr_1', null), 'mismatch');
});

test('closing refuses what waits', async () => {
  const { double } = createSteppedArgon2();
  const stepped = createPasswordHasher({ argon2: double, pepperVersion: () => 1, clock: systemClock });
  void stepped.verify('x', 'usr_1', null);
  const waiting = assert.rejects(stepped.verify('x', 'usr_1', null), (error) =>
    isProblem(error, identityProblems.busy),
  );
  await stepped.close();
  await waiting;
});

/** Argon2 that computes nothing until told. */
function createSteppedArgon2(): { double: Argon2; jobs: (Derivation & { finish(): void })[] } {
  const jobs: (Derivation & { finish(): void })[] = [];
  const double: Argon2 = {
    derive: (job) =>
      new Promise((resolve) => {
        jobs.push({ ...job, finish: () => resolve(new Uint8Array(job.tagBytes)) });
      }),
    close: async () => {},
  };
  return { double, jobs };
}
