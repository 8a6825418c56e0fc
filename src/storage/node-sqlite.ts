import type { DatabaseSync } from 'node:sqlite';
import type { SqliteDatabase, SqliteStatement } from 'kysely';

/** `node:sqlite` in the shape that Kysely's SqliteDialect asks for. */
export function asKyselyDatabase(database: DatabaseSync): SqliteDatabase {
  return {
    close: () => database.close(),
    prepare(sql): SqliteStatement {
      const statement = database.prepare(sql);
      return {
        reader: statement.columns().length > 0,
        // Rows come without a prototype; everybody compares and spreads them as plain objects.
        all: (parameters) => statement.all(...(parameters as never[])).map((row) => ({ ...row })),
        run(parameters) {
          // On a full disk SQLite has rolled back already; a second time would fail, and hide why.
          if (sql === 'rollback' && !database.isTransaction) return NO_CHANGES;
          return statement.run(...(parameters as never[]));
        },
        iterate: (parameters) => statement.iterate(...(parameters as never[])),
      };
    },
  };
}

const NO_CHANGES = { changes: 0, lastInsertRowid: 0 };
