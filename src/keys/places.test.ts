import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { sql } from 'kysely';
import { decryptDetached, encryptDetached } from '../crypto/age/age.ts';
import { generateIdentity } from '../crypto/age/keys.ts';
import { createKeyRing } from '../crypto/ring/sealed-key-ring.ts';
import { createSealedValues } from '../crypto/values/sealed-values.ts';
import { streamOf } from '../crypto/testing.ts';
import { createIdentity } from '../identity/service.ts';
import { createSqlStore as createIdentityStore } from '../identity/sql-store.ts';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { Secret } from '../kernel/secret.ts';
import { createArtifactHeaders } from '../models/artifact-headers.ts';
import { createArtifactVault } from '../models/artifact-vault.ts';
import { createSqlStore as createModelStore } from '../models/sql-store.ts';
import { type Database, openDatabase } from '../storage/database.ts';
import { createFileBlobStore } from '../storage/file-blobs.ts';
import { createApiKeyPlace, createPasswordPlace } from './identity-places.ts';

/**
 * Every column that holds something under a ring key, and the place that answers for it. A column that is found and is
 * not here would be left behind by a rotation: give it a place, hand the place to the key service in server/keep.ts, and
 * add the line.
 */
const COVERED: Readonly<Record<string, string>> = {
  'api_keys.mac_key_version': 'API keys',
  'users.password': 'password hashes',
  'versions.header': 'artifact headers',
  'versions.key_version': 'artifact headers',
};

/** What has the look of wrapped material: an age header, a JWE with a key id, a hash that names its pepper. */
function looksWrapped(value: unknown): boolean {
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : value;
  if (typeof text !== 'string') return false;
  if (text.includes('age-encryption.org/v1') || text.includes('BEGIN AGE ENCRYPTED FILE')) return true;
  if (/\$argon2id\$.*,keyid=/.test(text)) return true;
  const jose = text.matchAll(
    /(eyJ[A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+/g,
  );
  return [...jose].some(([, header = '']) => Buffer.from(header, 'base64url').includes('"kid"'));
}

/** `table.column` of everything under a ring key: by its name, or by what lies in it. */
async function wrappedColumns({ query }: Database): Promise<Set<string>> {
  const found = new Set<string>();
  const tables = await sql<{ name: string }>`select name from sqlite_schema where type = 'table'`.execute(
    query,
  );
  for (const { name: table } of tables.rows) {
    const columns = await sql<{ name: string }>`select name from pragma_table_info(${table})`.execute(query);
    const { rows } = await sql<Record<string, unknown>>`select * from ${sql.table(table)}`.execute(query);
    for (const { name } of columns.rows) {
      if (/(^|_)key_version$/.test(name) || rows.some((row) => looksWrapped(row[name]))) {
        found.add(`${table}.${name}`);
      }
    }
  }
  assert.ok(tables.rows.length > 15, `only ${tables.rows.length} tables were seen`);
  return found;
}

test('every column and blob under a ring key belongs to a place', async (t) => {
  const { database, directory, clock, ring, places } = await openKeep(t);
  await plant(database);
  const artifactHeaders = createArtifactHeaders({
    store: createModelStore(database),
    vault: createArtifactVault({
      blobs: createFileBlobStore(join(directory, 'blobs')),
      keyRing: ring,
      cipher: {
        encrypt: encryptDetached,
        decrypt: decryptDetached,
        rewrap: () => assert.fail('to count is not to rewrap'),
      },
    }),
    keyRing: ring,
    clock,
    onReplaced: async () => {},
  });
  const found = await wrappedColumns(database);
  assert.deepEqual([...found].toSorted(), Object.keys(COVERED).toSorted());
  const answering = [...places, artifactHeaders].map(({ name }) => name);
  assert.deepEqual(answering.toSorted(), [...new Set(Object.values(COVERED))].toSorted());
  assert.deepEqual(await artifactHeaders.usage(), [{ key: 'artifacts', version: 1, items: 1 }]);
  const blobs = await readdir(join(directory, 'blobs'), { recursive: true, withFileTypes: true });
  const files = blobs.filter((entry) => entry.isFile());
  assert.equal(files.length, 1);
  for (const { parentPath, name } of files) {
    assert.ok(!looksWrapped(await readFile(join(parentPath, name))), `${name} has a header of its own`);
  }

  async function plant({ query }: Database): Promise<void> {
    const { header, payload } = encryptDetached([generateIdentity().recipient], streamOf(Buffer.from('x')));
    const blob = await createFileBlobStore(join(directory, 'blobs')).put(payload);
    await query.insertInto('projects').values({ id: 'prj_1', name: 'p', created_at: 0 }).execute();
    await query
      .insertInto('models')
      .values({ id: 'm', project: 'p', name: 'm', description: '', created_by: 'u', created_at: 0 })
      .execute();
    const facts = { digest: 'd', bytes: 1, blob: blob.name, payload_bytes: blob.bytes, sealed_at: 0 };
    const by = { signature: '{}', findings: '[]', created_by: 'u', created_at: 0 };
    const key = { header, key_name: 'artifacts', key_version: 1 };
    await query
      .insertInto('versions')
      .values({ id: 'v', model_id: 'm', number: 1, format: 'onnx', ...facts, ...key, ...by })
      .execute();
  }
});

test('a column without a place is found by its name, and by each form of wrapped material in it', async (t) => {
  const { database, ring } = await openKeep(t);
  await ring.ensure('secrets', 'seal');
  const { header } = encryptDetached([generateIdentity().recipient], streamOf(randomBytes(3)));
  const jwe = await createSealedValues({ ring }).seal('secrets', 'secrets/1', Buffer.from('hunter2'));
  await sql`create table planted (a_key_version integer, age blob, jwe text, deep text, plain text) strict`.execute(
    database.query,
  );
  await sql`insert into planted values (1, ${Buffer.from(header)}, ${jwe}, ${JSON.stringify({ value: jwe })},
    'eyJhbGciOiJFUzI1NiJ9.e30.c2ln')`.execute(database.query);
  const missing = [...(await wrappedColumns(database))].filter((column) => COVERED[column] === undefined);
  assert.deepEqual(missing.toSorted(), [
    'planted.a_key_version',
    'planted.age',
    'planted.deep',
    'planted.jwe',
  ]);
});

test('API keys and passwords are counted by the version they name, and those that are over are not', async (t) => {
  const { database, clock, ring, identity, places } = await openKeep(t);
  const usage = async () => (await Promise.all(places.map((place) => place.usage()))).flat();
  assert.deepEqual(await usage(), [
    { key: 'api-keys', version: 1, items: 1 },
    { key: 'password-pepper', version: 1, items: 1 },
  ]);
  const { key } = await identity.apiKeys.create({ owner: 'user:ada', expiresInDays: 1 }, 'usr_1');
  const { key: other } = await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_1');
  await ring.rotate('api-keys');
  await database.query
    .updateTable('api_keys')
    .set({ mac_key_version: 2 })
    .where('id', '=', other.id)
    .execute();
  assert.deepEqual(await places[0]?.usage(), [
    { key: 'api-keys', version: 1, items: 2 },
    { key: 'api-keys', version: 2, items: 1 },
  ]);
  await identity.apiKeys.revoke(other.id);
  clock.advance(86_400_000);
  assert.ok(key.expiresAt !== null && key.expiresAt <= clock.now());
  assert.deepEqual(await places[0]?.usage(), [{ key: 'api-keys', version: 1, items: 1 }]);
});

async function openKeep(t: TestContext) {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-places-'));
  const open = new AsyncDisposableStack();
  t.after(() => open.disposeAsync());
  open.defer(() => rm(directory, { recursive: true }));
  const clock = createManualClock();
  const rootIdentity = new Secret(generateIdentity().identity);
  const ring = await createKeyRing({ path: join(directory, 'keyring.age'), rootIdentity, clock });
  open.defer(() => ring.close());
  const database = await openDatabase(join(directory, 'keep.db'), clock);
  open.defer(() => database.close());
  const identity = await createIdentity({
    store: createIdentityStore(database),
    keyRing: ring,
    clock,
    log: silentLog,
    groupsOf: () => [],
    grantAdmin: async () => {},
    cost: { memoryKib: 8, passes: 1, parallelism: 1 },
  });
  open.defer(() => identity.close());
  await identity.users.create({ name: 'ada', password: new Secret('violet tubas at noon') });
  await identity.apiKeys.create({ owner: 'user:ada' }, 'usr_1');
  const places = [createApiKeyPlace(database, clock), createPasswordPlace(database)];
  return { directory, database, clock, ring, identity, places };
}
