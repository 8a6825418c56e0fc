import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { createMemoryAuditLog } from '../audit/memory-log.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import { createKeyRing, openKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { createRootKeyFile, readRootKeyFile } from '../crypto/root-key/root-key-file.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { createManualClock, type ManualClock } from '../kernel/clock.ts';
import type { Log } from '../kernel/log.ts';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import { openDatabase } from '../storage/database.ts';
import { createKeyService, type KeyServiceOptions } from './key-service.ts';
import { keysProblems } from './problems.ts';
import { watchRingGeneration } from './ring-generation.ts';
import { createNotes, keepPaths, NOTES_KEY, type NotesOptions } from './testing.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

test('a rotated key seals new data under the new version, and the report says what is left', async (t) => {
  const { service, notes } = await openKeep(t);
  await notes.add(3);
  const rotated = await service.rotate(NOTES_KEY);
  assert.deepEqual(
    rotated.versions.map(({ version, state, items }) => [version, state, items]),
    [
      [1, 'decrypt-only', [{ place: 'notes', items: 3 }]],
      [2, 'active', []],
    ],
  );
  await notes.add(2);
  assert.deepEqual(
    (await notes.readAll()).map(({ text, version }) => [text, version]),
    [
      ['note', 1],
      ['note', 1],
      ['note', 1],
      ['note', 2],
      ['note', 2],
    ],
  );
});

test('rewrapping moves everything in batches, while the place is used', async (t) => {
  const progress: number[] = [];
  const { service, notes } = await openKeep(t, { batchMax: 4 });
  await notes.add(10);
  await service.rotate(NOTES_KEY);
  const added: Promise<void>[] = [];
  const report = await service.rewrap(NOTES_KEY, {
    onProgress({ moved }) {
      progress.push(moved);
      added.push(notes.add(1));
    },
  });
  await Promise.all(added);
  assert.deepEqual(progress, [4, 8, 10]);
  assert.deepEqual([report.finished, report.moved, report.version], [true, 10, 2]);
  assert.deepEqual(
    report.places.map(({ place, left, failures }) => [place, left, failures]),
    [['notes', 0, []]],
  );
  const all = await notes.readAll();
  assert.deepEqual(new Set(all.map(({ version }) => version)), new Set([2]));
  assert.equal(all.length, 13);
  assert.equal((await service.rewrap(NOTES_KEY)).moved, 0, 'again: nothing is left');
});

test('a job tells of the places that hold something under its key, and of no others', async (t) => {
  const { service, notes, ring } = await openKeep(t);
  await notes.add(1);
  await ring.create('other', 'wrap');
  assert.deepEqual((await service.rewrap('other')).places, []);
  assert.deepEqual((await service.reencrypt('other')).places, []);
  assert.deepEqual(
    (await service.rewrap(NOTES_KEY)).places.map(({ place }) => place),
    ['notes'],
  );
});

test('a rewrap that is broken off after any batch loses nothing and is gone on with', async (t) => {
  for (let breaks = 0; breaks < 4; breaks++) {
    let batches = 0;
    let broken = true;
    const { service, notes } = await openKeep(t, {
      batchMax: 3,
      async beforeCommit() {
        if (batches++ >= breaks && broken) throw new Error('the disk is gone');
      },
    });
    await notes.add(10);
    await service.rotate(NOTES_KEY);
    await assert.rejects(service.rewrap(NOTES_KEY), /the disk is gone/);
    const versions = (await notes.readAll()).map(({ version }) => version);
    assert.equal(versions.filter((version) => version === 2).length, breaks * 3);
    broken = false;
    assert.equal((await service.rewrap(NOTES_KEY)).moved, 10 - breaks * 3);
    assert.deepEqual(new Set((await notes.readAll()).map(({ version }) => version)), new Set([2]));
  }
});

for (const operation of ['rewrap', 'reencrypt'] as const) {
  test(`a ${operation} whose process is killed inside a batch is gone on with by the next one`, async (t) => {
    const keep = await openKeep(t, {}, createManualClock(Date.now() - HOUR_MS));
    await keep.notes.add(10);
    await keep.service.rotate(NOTES_KEY);
    await keep.close();

    const killAfter = async (batches: number): Promise<void> => {
      const script = join(import.meta.dirname, 'rewrap.harness.ts');
      const child = spawn(process.execPath, [script, keep.directory, operation, String(batches)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      t.after(() => child.kill('SIGKILL'));
      const [said] = (await once(child.stdout, 'data')) as [Buffer];
      assert.equal(said.toString(), 'inside\n');
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
    await killAfter(1);

    const clock = createManualClock(Date.now() + HOUR_MS);
    const again = await keep.reopen({ batchMax: 4 }, clock);
    const versions = (await again.notes.readAll()).map(({ version }) => version);
    assert.deepEqual(
      versions,
      [2, 2, 2, 2, 1, 1, 1, 1, 1, 1],
      'one batch is durable, the next one is not there',
    );
    const report = await again.service[operation](NOTES_KEY);
    assert.deepEqual([report.finished, report.moved], [true, 6]);
    assert.deepEqual(new Set((await again.notes.readAll()).map(({ version }) => version)), new Set([2]));
    assert.equal((await again.service.get(NOTES_KEY)).reencryptingSince, null);
    await again.close();
  });
}

test('a reencryption gives all data new keys, whatever version it was under', async (t) => {
  const { service, notes, clock, ring } = await openKeep(t);
  await notes.add(4);
  await service.rotate(NOTES_KEY);
  await notes.add(3);
  clock.advance(1);
  const report = await service.reencrypt(NOTES_KEY);
  assert.equal(report.moved, 7);
  assert.equal((await service.get(NOTES_KEY)).reencryptingSince, null);
  clock.advance(1);
  assert.equal((await service.reencrypt(NOTES_KEY)).moved, 7, 'a new one is a new one');
  assert.ok((await notes.readAll()).every(({ version }) => version === 2));
  assert.equal(ring.find(NOTES_KEY)?.versions.length, 2);
});

test('a reencryption that was stopped goes on from its own beginning, and not from before a rotation', async (t) => {
  const { service, notes, clock } = await openKeep(t, { batchMax: 2 });
  await notes.add(6);
  clock.advance(1);
  const stop = new AbortController();
  const first = await service.reencrypt(NOTES_KEY, { signal: stop.signal, onProgress: () => stop.abort() });
  assert.deepEqual([first.finished, first.moved], [false, 2]);
  assert.equal((await service.get(NOTES_KEY)).reencryptingSince, clock.now());

  clock.advance(1);
  const second = await service.reencrypt(NOTES_KEY, {
    onProgress: () => clock.advance(10_000),
    msMax: 5_000,
  });
  assert.deepEqual([second.finished, second.moved], [false, 2], 'its time was over after one batch');

  clock.advance(1);
  await service.setState(NOTES_KEY, 1, 'compromised');
  clock.advance(1);
  const third = await service.reencrypt(NOTES_KEY);
  assert.deepEqual([third.finished, third.moved], [true, 6]);
  assert.ok((await notes.readAll()).every(({ version }) => version === 2));
});

test('a reencryption waits for a clock that is behind its beginning', async (t) => {
  const { service, notes, clock } = await openKeep(t, { batchMax: 1 });
  await notes.add(2);
  clock.advance(HOUR_MS);
  const stop = new AbortController();
  await service.reencrypt(NOTES_KEY, { signal: stop.signal, onProgress: () => stop.abort() });
  clock.step(clock.now() - 1);
  await rejects(service.reencrypt(NOTES_KEY), keysProblems.clock_behind);
});

test('one job runs at a time, and ends with the service', async (t) => {
  const gate = Promise.withResolvers<void>();
  const { service, notes } = await openKeep(t, { batchMax: 1, beforeCommit: () => gate.promise });
  await notes.add(3);
  await service.rotate(NOTES_KEY);
  const running = service.rewrap(NOTES_KEY);
  await rejects(service.rewrap(NOTES_KEY), keysProblems.job_running);
  await rejects(service.reencrypt(NOTES_KEY), keysProblems.job_running);
  const closed = service.close();
  gate.resolve();
  await closed;
  const report = await running;
  assert.deepEqual([report.finished, report.moved, report.places[0]?.left], [false, 1, 2]);
});

test('what cannot be moved is named, and does not hold up the rest', async (t) => {
  const { service, notes, database } = await openKeep(t);
  await notes.add(3);
  await database.query
    .updateTable('notes' as never)
    .set({ sealed: Buffer.from('damaged') } as never)
    .where('id' as never, '=', 2 as never)
    .execute();
  await service.rotate(NOTES_KEY);
  const report = await service.rewrap(NOTES_KEY);
  assert.deepEqual([report.finished, report.moved], [true, 2]);
  assert.deepEqual(
    report.places[0]?.failures.map(({ item }) => item),
    ['note 2'],
  );
  assert.equal(report.places[0]?.left, 1);
  await rejects(service.destroy(NOTES_KEY, 1), keysProblems.version_recent);
});

test('a version is destroyed only when nothing names it and no request can still use it', async (t) => {
  const { service, notes, clock, ring } = await openKeep(t);
  await notes.add(2);
  await rejects(service.destroy(NOTES_KEY, 1), ringProblems.key_version_active);
  await service.rotate(NOTES_KEY);
  await rejects(service.destroy(NOTES_KEY, 1), keysProblems.version_recent);
  clock.advance(10 * 60_000);
  await assert.rejects(service.destroy(NOTES_KEY, 1), (error) => {
    assert.ok(isProblem(error, keysProblems.version_in_use));
    assert.match(error.detail, /notes \(2\)/);
    return true;
  });
  assert.ok(ring.identity(NOTES_KEY, 1));
  await service.setState(NOTES_KEY, 1, 'compromised');
  await rejects(service.destroy(NOTES_KEY, 1), keysProblems.version_in_use);
  await service.reencrypt(NOTES_KEY);
  await service.rewrap(NOTES_KEY);
  const report = await service.destroy(NOTES_KEY, 1);
  assert.equal(report.versions[0]?.state, 'destroyed');
  assert.throws(
    () => ring.identity(NOTES_KEY, 1, { compromised: true }),
    (error) => isProblem(error, cryptoProblems.key_unavailable),
  );
  assert.equal((await notes.readAll()).length, 2);
  await service.destroy(NOTES_KEY, 1);
  await rejects(service.setState(NOTES_KEY, 1, 'decrypt-only'), keysProblems.not_found);
});

test('what is not there is said to be not there', async (t) => {
  const { service } = await openKeep(t);
  for (const attempt of [
    () => service.get('none'),
    () => service.rotate('none'),
    () => service.rewrap('none'),
    () => service.reencrypt('toString'),
    () => service.setRotateDays('none', 3),
    () => service.destroy(NOTES_KEY, 9),
    () => service.setState(NOTES_KEY, 9, 'compromised'),
  ]) {
    await rejects(attempt(), keysProblems.not_found);
  }
  await service.create('tags', 'mac');
  assert.throws(
    () => service.recipient('tags'),
    (error) => isProblem(error, keysProblems.not_for_export),
  );
  assert.match(service.recipient(NOTES_KEY).recipient, /^age1/);
});

test('a key past its days is rotated at the next check, with an entry, and others are not', async (t) => {
  const ticks: (() => void)[] = [];
  const events: string[] = [];
  const log: Log = { info: (event) => void events.push(event), warn: () => {}, error: () => {} };
  const audit = createMemoryAuditLog();
  let stopped = 0;
  const every = (_: number, work: () => void): (() => void) => {
    ticks.push(work);
    return () => void stopped++;
  };
  const { service, clock, ring } = await openKeep(t, {}, undefined, { every, log, audit });
  await service.create('slow', 'seal', 365);
  await service.create('never', 'wrap', null);
  await service.create('tags', 'mac');
  await service.create('log', 'sign');
  clock.advance(90 * DAY_MS - 1);
  assert.deepEqual(await service.rotateDue(), []);
  clock.advance(1);
  ticks[0]?.();
  assert.deepEqual(await service.rotateDue(), [], 'the tick has done it');
  const counts = ring.list().map(({ name, versions }) => [name, versions.length]);
  assert.deepEqual(Object.fromEntries(counts), { [NOTES_KEY]: 2, slow: 1, never: 1, tags: 1, log: 1 });
  assert.deepEqual(events, ['keys.rotated']);
  const entries = audit
    .recorded()
    .map((entry) => [entry.action, entry.phase, entry.resource, entry.decision]);
  assert.deepEqual(entries, [
    ['key.rotate', 'start', '/keys/notes', 'allow'],
    ['key.rotate', 'end', '/keys/notes', 'allow'],
  ]);
  await service.setRotateDays(NOTES_KEY, 1);
  clock.advance(DAY_MS);
  assert.deepEqual(await service.rotateDue(), [NOTES_KEY]);
  assert.equal((await service.get(NOTES_KEY)).rotatesAt, clock.now() + DAY_MS);
  await service.close();
  assert.equal(stopped, 1);
});

test('an older key ring in place of the newer one is refused at the start', async (t) => {
  const keep = await openKeep(t);
  await keep.ring.close();
  const old = `${keep.paths.ring}.old`;
  await copyFile(keep.paths.ring, old);
  const between = await keep.reopen();
  await between.service.rotate(NOTES_KEY);
  const seen = between.ring.generation();
  await between.close();

  await copyFile(old, keep.paths.ring);
  await assert.rejects(keep.reopen(), (error) => {
    assert.ok(isProblem(error, ringProblems.keyring_rolled_back));
    assert.equal(error.members['seen'], seen);
    return true;
  });
  await assert.rejects(keep.reopen({}, undefined, { acceptGeneration: seen - 2 }), /generation/);
  const accepted = await keep.reopen({}, undefined, { acceptGeneration: seen - 1 });
  await accepted.close();
  await (await keep.reopen()).close();
});

interface KeepChanges extends Partial<Pick<KeyServiceOptions, 'every' | 'log' | 'audit'>> {
  readonly acceptGeneration?: number;
}

async function openKeep(
  t: TestContext,
  notesOptions: Partial<NotesOptions> = {},
  clock?: ManualClock,
  changes: KeepChanges = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-keys-'));
  const open = new AsyncDisposableStack();
  open.defer(() => rm(directory, { recursive: true }));
  t.after(() => open.disposeAsync());
  const paths = keepPaths(directory);
  const firstClock = clock ?? createManualClock();
  const rootIdentity = await createRootKeyFile(paths.rootKey);
  const made = await createKeyRing({ path: paths.ring, rootIdentity, clock: firstClock });
  await made.ensure(NOTES_KEY, 'wrap');
  await made.close();

  const reopen = async (
    options: Partial<NotesOptions> = {},
    at: ManualClock = firstClock,
    { acceptGeneration, ...rest }: KeepChanges = {},
  ) => {
    const root = await readRootKeyFile(paths.rootKey);
    const ring = await openKeyRing({ path: paths.ring, rootIdentity: root, clock: at });
    const database = await openDatabase(paths.database, at);
    open.defer(() => database.close());
    const log: Log = { info: () => {}, warn: () => {}, error: () => {} };
    await watchRingGeneration({ ring, database, log, acceptGeneration });
    const notes = await createNotes({ ring, database, now: () => at.now(), ...options });
    const parts = { ring, places: [notes], database, clock: at, log, audit: createMemoryAuditLog() };
    const service = await createKeyService({ ...parts, every: () => () => {}, ...rest });
    const close = async (): Promise<void> => {
      await service.close();
      await ring.close();
    };
    open.defer(close);
    return { ring, database, notes, service, clock: at, close };
  };
  return { ...(await reopen(notesOptions, firstClock, changes)), directory, paths, reopen };
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition): Promise<void> {
  await assert.rejects(promise, (error) => isProblem(error, definition));
}
