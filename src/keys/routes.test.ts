import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { isPermission } from '../access/catalogue.ts';
import { createMemoryAuditLog } from '../audit/memory-log.ts';
import { generateIdentity } from '../crypto/age/keys.ts';
import { createKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import { type RouteRequest, sendToRoute } from '../http/route.harness.ts';
import type { AuditFacts } from '../http/route.ts';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem, type ProblemDefinition } from '../kernel/problem.ts';
import { Secret } from '../kernel/secret.ts';
import { openDatabase } from '../storage/database.ts';
import { createKeyService } from './key-service.ts';
import { MEANING } from './meaning.ts';
import { keysProblems } from './problems.ts';
import { createKeyRoutes } from './routes.ts';
import { createNotes, NOTES_KEY } from './testing.ts';

/** The members that tests look at. */
interface Answer {
  readonly keys: readonly { readonly name: string }[];
  readonly name: string;
  readonly purpose: string;
  readonly rotateDays: number | null;
  readonly rotatesAt: string | null;
  readonly recipient: string;
  readonly versions: readonly { version: number; state: string; items: readonly unknown[] }[];
  readonly finished: boolean;
  readonly moved: number;
  readonly places: readonly { readonly left: number }[];
  readonly meaning: string;
}

test('every route asks for a permission of the catalogue on the key that it names', async (t) => {
  const { routes } = await open(t);
  const guards = routes.map(({ method, path, guard }) => [
    `${method} ${path}`,
    'permission' in guard ? `${guard.permission} @ ${guard.scope({ params: { key: 'k' } })}` : 'open',
  ]);
  assert.deepEqual(Object.fromEntries(guards), {
    'GET /api/v1/keys': 'key.list @ /keys',
    'GET /api/v1/keys/{key}': 'key.list @ /keys/k',
    'GET /api/v1/keys/{key}/recipient': 'key.list @ /keys/k',
    'POST /api/v1/keys': 'key.create @ /keys',
    'PATCH /api/v1/keys/{key}': 'key.rotate @ /keys/k',
    'POST /api/v1/keys/{key}/rotate': 'key.rotate @ /keys/k',
    'PATCH /api/v1/keys/{key}/versions/{version}': 'key.disable @ /keys/k',
    'DELETE /api/v1/keys/{key}/versions/{version}': 'key.destroy @ /keys/k',
    'POST /api/v1/keys/{key}/jobs/rewrap': 'key.rotate @ /keys/k',
    'POST /api/v1/keys/{key}/jobs/reencrypt': 'key.rotate @ /keys/k',
  });
  for (const { guard } of routes) assert.ok('permission' in guard && isPermission(guard.permission));
});

test('a key is made, listed, scheduled, and gives its recipient', async (t) => {
  const { send } = await open(t);
  const made = await send('POST', '/api/v1/keys', { body: { name: 'data', purpose: 'wrap' } });
  assert.deepEqual([made.purpose, made.rotateDays, made.versions.length], ['wrap', 90, 1]);
  assert.equal(made.rotatesAt, '2026-04-01T00:00:00.000Z');
  const { keys } = await send('GET', '/api/v1/keys');
  assert.deepEqual(
    keys.map(({ name }) => name),
    [NOTES_KEY, 'data'],
  );
  assert.match((await send('GET', '/api/v1/keys/data/recipient')).recipient, /^age1[a-z0-9]{58}$/);
  const scheduled = await send('PATCH', '/api/v1/keys/data', { body: { rotateDays: null } });
  assert.equal(scheduled.rotatesAt, null);
  await rejects(
    send('POST', '/api/v1/keys', { body: { name: 'data', purpose: 'mac' } }),
    ringProblems.key_exists,
  );
  await rejects(send('GET', '/api/v1/keys/none'), keysProblems.not_found);
  await assert.rejects(send('POST', '/api/v1/keys', { body: { name: 'a/b', purpose: 'mac' } }), /name/);
  await assert.rejects(send('POST', '/api/v1/keys', { body: { name: 'a', purpose: 'rsa' } }), /purpose/);
});

test('rotate, rewrap and reencrypt each say what they revoke', async (t) => {
  const { send, notes, clock, noted } = await open(t);
  await notes.add(5);
  clock.advance(1);
  const rotated = await send('POST', '/api/v1/keys/notes/rotate');
  assert.equal(rotated.meaning, MEANING.rotate);
  assert.deepEqual(rotated.versions[0]?.items, [{ place: 'notes', items: 5 }]);
  const rewrapped = await send('POST', '/api/v1/keys/notes/jobs/rewrap');
  assert.deepEqual([rewrapped.finished, rewrapped.moved, rewrapped.places[0]?.left], [true, 5, 0]);
  assert.match(rewrapped.meaning, /can still read/);
  clock.advance(1);
  const reencrypted = await send('POST', '/api/v1/keys/notes/jobs/reencrypt');
  assert.deepEqual([reencrypted.finished, reencrypted.moved], [true, 5]);
  assert.match(reencrypted.meaning, /new data keys/);
  assert.deepEqual(noted.at(-1)?.detail, { version: 2, moved: 5, failed: 0, finished: true });
});

test('a caller that has gone stops the job after its batch', async (t) => {
  const gone = new AbortController();
  const { send, notes } = await open(t, async () => gone.abort());
  await notes.add(5);
  await send('POST', '/api/v1/keys/notes/rotate');
  const stopped = await send('POST', '/api/v1/keys/notes/jobs/rewrap', { signal: gone.signal });
  assert.deepEqual([stopped.finished, stopped.moved, stopped.places[0]?.left], [false, 2, 3]);
  const again = await send('POST', '/api/v1/keys/notes/jobs/rewrap');
  assert.deepEqual([again.finished, again.moved], [true, 3]);
});

test('a version is marked, and destroyed when the key is named once more', async (t) => {
  const { send, clock } = await open(t);
  const marked = await send('PATCH', '/api/v1/keys/notes/versions/1', { body: { state: 'compromised' } });
  assert.deepEqual(
    marked.versions.map(({ state }) => state),
    ['compromised', 'active'],
  );
  assert.match(marked.meaning, /reencrypt/);
  clock.advance(3_600_000);
  await rejects(send('DELETE', '/api/v1/keys/notes/versions/1'), keysProblems.not_confirmed);
  const wrong = send('DELETE', '/api/v1/keys/notes/versions/1', { query: { confirm: 'other' } });
  await rejects(wrong, keysProblems.not_confirmed);
  const destroyed = await send('DELETE', '/api/v1/keys/notes/versions/1', { query: { confirm: 'notes' } });
  assert.equal(destroyed.versions[0]?.state, 'destroyed');
  await assert.rejects(
    send('PATCH', '/api/v1/keys/notes/versions/2', { body: { state: 'destroyed' } }),
    /state/,
  );
});

type Sent = Pick<RouteRequest, 'body' | 'query' | 'signal'>;

async function open(t: TestContext, beforeCommit?: () => Promise<void>) {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-keys-'));
  const opened = new AsyncDisposableStack();
  t.after(() => opened.disposeAsync());
  opened.defer(() => rm(directory, { recursive: true }));
  const clock = createManualClock();
  const rootIdentity = new Secret(generateIdentity().identity);
  const ring = await createKeyRing({ path: join(directory, 'keyring.age'), rootIdentity, clock });
  opened.defer(() => ring.close());
  await ring.ensure(NOTES_KEY, 'wrap');
  const database = await openDatabase(':memory:', clock);
  opened.defer(() => database.close());
  const notes = await createNotes({
    ring,
    database,
    now: () => clock.now(),
    ...(beforeCommit === undefined ? {} : { beforeCommit, batchMax: 2 }),
  });
  const service = await createKeyService({
    ring,
    places: [notes],
    database,
    clock,
    log: silentLog,
    audit: createMemoryAuditLog(),
    every: () => () => {},
  });
  opened.defer(() => service.close());
  const routes = createKeyRoutes(service);
  const noted: AuditFacts[] = [];

  async function send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const note = (facts: AuditFacts): void => void noted.push(facts);
    return (await sendToRoute(routes, method, path, { ...sent, note })) as Answer;
  }
  return { routes, send, notes, clock, noted };
}

async function rejects(promise: Promise<unknown>, definition: ProblemDefinition): Promise<void> {
  await assert.rejects(promise, (error) => isProblem(error, definition));
}
