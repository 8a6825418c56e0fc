import { AsyncLocalStorage } from 'node:async_hooks';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, SqliteDialect, type Transaction } from 'kysely';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { Problem } from '../kernel/problem.ts';
import { MIGRATIONS } from './migrations.ts';
import { asKyselyDatabase } from './node-sqlite.ts';
import { storageProblems } from './problems.ts';
import type { Schema } from './schema.ts';

/**
 * The keep's database. Reads go through `query`; every change goes through `write`, whose promise resolves when the
 * change is durable.
 */
export interface Database {
  readonly query: Kysely<Schema>;
  /** Runs `work` in one transaction: all of it is durable when the promise resolves, none of it if it rejects. */
  write<T>(work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T>;
  /**
   * Runs `work` as the effect of audit entry `entryId`: the first `write` inside it records the id in `effects` within
   * its own transaction, so that a restart can tell whether an entry without an end took effect.
   */
  asEffectOf<T>(entryId: string, work: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** Opens (and creates, and migrates) the SQLite database at `path`; `:memory:` for tests. */
export async function openDatabase(path: string, clock: Clock = systemClock): Promise<Database> {
  const raw = openRaw(path, clock);
  const query = new Kysely<Schema>({ dialect: new SqliteDialect({ database: asKyselyDatabase(raw) }) });
  const effect = new AsyncLocalStorage<string>();
  return {
    query,
    async write(work) {
      try {
        return await query.transaction().execute(async (transaction) => {
          const entryId = effect.getStore();
          if (entryId !== undefined) {
            await transaction
              .insertInto('effects')
              .values({ entry_id: entryId, committed_at: clock.now() })
              .onConflict((conflict) => conflict.doNothing())
              .execute();
          }
          return await work(transaction);
        });
      } catch (error) {
        throw explain(error, path);
      }
    },
    asEffectOf: (entryId, work) => effect.run(entryId, work),
    close: () => query.destroy(),
  };
}

function openRaw(path: string, clock: Clock): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec(`
      pragma journal_mode = wal;
      pragma synchronous = full;
      pragma foreign_keys = on;
      pragma busy_timeout = 5000;
      pragma trusted_schema = off;
    `);
    const [check] = database.prepare('pragma quick_check(1)').all();
    if (check?.['quick_check'] !== 'ok') {
      throw storageProblems.database_corrupt(`${path}: ${String(check?.['quick_check'])}`);
    }
    migrate(database, path, clock);
    return database;
  } catch (error) {
    database?.close();
    throw explain(error, path);
  }
}

function migrate(database: DatabaseSync, path: string, clock: Clock): void {
  database.exec(
    'create table if not exists migrations (name text primary key, applied_at integer not null) strict',
  );
  const applied = database.prepare('select name from migrations order by name').all();
  const known = new Set(MIGRATIONS.map((migration) => migration.name));
  for (const { name } of applied) {
    if (!known.has(String(name))) {
      throw storageProblems.database_newer(
        `${path} holds migration "${String(name)}", which this version does not know`,
      );
    }
  }
  for (const migration of MIGRATIONS.slice(applied.length)) {
    database.exec('begin immediate');
    try {
      database.exec(migration.sql);
      database.prepare('insert into migrations values (?, ?)').run(migration.name, clock.now());
      database.exec('commit');
    } catch (error) {
      database.exec('rollback');
      throw error;
    }
  }
}

const CORRUPT = new Set([11, 26]); // SQLITE_CORRUPT, SQLITE_NOTADB
const UNWRITABLE = new Set([8, 10, 13, 14]); // SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN

function explain(error: unknown, path: string): unknown {
  if (error instanceof Problem || !(error instanceof Error) || !('errcode' in error)) return error;
  const primary = Number(error.errcode) & 0xff;
  if (CORRUPT.has(primary))
    return storageProblems.database_corrupt(`${path}: ${error.message}`, { cause: error });
  if (UNWRITABLE.has(primary)) {
    return storageProblems.not_writable(`the database cannot be written: ${error.message}`, { cause: error });
  }
  return error;
}
