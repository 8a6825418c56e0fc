import assert from 'node:assert/strict';
import { mkdtemp, open, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { sql } from 'kysely';
import { isProblem } from '../kernel/problem.ts';
import { openDatabase } from './database.ts';
import { acquireFileLock } from './file-lock.ts';
import { MIGRATIONS } from './migrations.ts';
import { storageProblems } from './problems.ts';

const project = { id: 'prj_1', name: 'fraud', created_at: 1 };

async function temporaryPath(name: string): Promise<string> {
  return join(await mkdtemp(join(tmpdir(), 'modelkeep-')), name);
}

describe('the database', () => {
  it('keeps what was written across a reopen', async () => {
    const path = await temporaryPath('modelkeep.db');
    const first = await openDatabase(path);
    await first.write((transaction) => transaction.insertInto('projects').values(project).execute());
    await first.close();
    const second = await openDatabase(path);
    assert.deepEqual(await second.query.selectFrom('projects').selectAll().execute(), [project]);
    await second.close();
  });

  it('undoes all of a write that fails', async () => {
    const database = await openDatabase(':memory:');
    await assert.rejects(
      database.write(async (transaction) => {
        await transaction.insertInto('projects').values(project).execute();
        throw new Error('half way');
      }),
      /half way/,
    );
    assert.deepEqual(await database.query.selectFrom('projects').selectAll().execute(), []);
    await database.close();
  });

  it('records the effect of an entry in the transaction of the change, and only if it commits', async () => {
    const database = await openDatabase(':memory:');
    await database.asEffectOf('entry-1', () =>
      database.write((transaction) => transaction.insertInto('projects').values(project).execute()),
    );
    await assert.rejects(
      database.asEffectOf('entry-2', () =>
        database.write((transaction) => transaction.insertInto('projects').values(project).execute()),
      ),
    );
    const effects = await database.query.selectFrom('effects').select('entry_id').execute();
    assert.deepEqual(effects, [{ entry_id: 'entry-1' }]);
    await database.close();
  });

  it('names a file that is not a database, and leaves it as it was', async () => {
    const path = await temporaryPath('modelkeep.db');
    await writeFile(path, 'this is not a database, whatever it is called\n'.repeat(100));
    const before = await readFile(path);
    await assert.rejects(openDatabase(path), (error) => isProblem(error, storageProblems.database_corrupt));
    assert.deepEqual(await readFile(path), before);
  });

  it('says that it cannot be written when it is full, and can be when there is space again', async () => {
    const database = await openDatabase(await temporaryPath('modelkeep.db'));
    const fill = (size: number): Promise<unknown> =>
      database.write((transaction) =>
        transaction
          .insertInto('settings')
          .values({ name: `of ${size}`, value: 'x'.repeat(size) })
          .execute(),
      );
    const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(database.query);
    const pages = (rows[0]?.page_count ?? 0) + 5;
    await sql`pragma max_page_count = ${sql.lit(pages)}`.execute(database.query);
    await assert.rejects(fill(200_000), (error) => isProblem(error, storageProblems.not_writable));
    await fill(10);
    await sql`pragma max_page_count = 1000000`.execute(database.query);
    await fill(200_000);
    const { length } = await database.query.selectFrom('settings').selectAll().execute();
    await database.close();
    assert.equal(length, 2);
  });

  it('refuses a database with damaged pages', async () => {
    const path = await temporaryPath('modelkeep.db');
    const database = await openDatabase(path);
    for (let i = 0; i < 500; i++) {
      const row = { id: `prj_${i}`, name: `p${i}`.padEnd(60, 'x'), created_at: i };
      await database.query.insertInto('projects').values(row).execute();
    }
    await database.close();
    const file = await open(path, 'r+');
    const { size } = await file.stat();
    for (let page = 8; page < size / 4096; page++)
      await file.write(Buffer.alloc(2000, 0xff), 0, 2000, page * 4096);
    await file.close();
    await assert.rejects(openDatabase(path), (error) => isProblem(error, storageProblems.database_corrupt));
  });

  it('takes over the rows of an older version: an artifact was sealed when its version was made', async () => {
    const path = await temporaryPath('modelkeep.db');
    const { DatabaseSync } = await import('node:sqlite');
    const raw = new DatabaseSync(path);
    raw.exec(`create table migrations (name text primary key, applied_at integer not null) strict;
      insert into migrations values ('0001-keep', 0);
      ${MIGRATIONS[0]?.sql ?? ''}
      insert into projects values ('prj_1', 'p', 1);
      insert into models values ('mdl_1', 'p', 'm', '', 'usr_1', 1);
      insert into versions values
        ('ver_1', 'mdl_1', 1, 'onnx', 'd', 1, 'b', 1, x'00', 'artifacts', 1, '{}', '[]', 'usr_1', 1234);`);
    raw.close();
    const database = await openDatabase(path);
    const row = await database.query.selectFrom('versions').select('sealed_at').executeTakeFirst();
    await database.close();
    assert.deepEqual(row, { sealed_at: 1234 });
  });

  it('refuses a database from a newer version', async () => {
    const path = await temporaryPath('modelkeep.db');
    const database = await openDatabase(path);
    await database.close();
    const { DatabaseSync } = await import('node:sqlite');
    const raw = new DatabaseSync(path);
    raw.exec("insert into migrations values ('9999-future', 0)");
    raw.close();
    await assert.rejects(openDatabase(path), (error) => isProblem(error, storageProblems.database_newer));
  });
});

describe('the file lock', () => {
  it('is held by one at a time and free after its release', async () => {
    const path = await temporaryPath('lock');
    const first = acquireFileLock(path);
    assert.throws(
      () => acquireFileLock(path),
      (error) => isProblem(error, storageProblems.keep_locked),
    );
    first.release();
    acquireFileLock(path).release();
  });
});
