import type { Database } from '../storage/database.ts';

/** What the room remembers beside the ring, in the table `settings`. */

export async function readSetting(database: Database, name: string): Promise<string | undefined> {
  const row = await database.query
    .selectFrom('settings')
    .select('value')
    .where('name', '=', name)
    .executeTakeFirst();
  return row?.value;
}

export async function writeSetting(database: Database, name: string, value: string): Promise<void> {
  await database.write((transaction) =>
    transaction
      .insertInto('settings')
      .values({ name, value })
      .onConflict((conflict) => conflict.column('name').doUpdateSet({ value }))
      .execute(),
  );
}

export async function removeSetting(database: Database, name: string): Promise<void> {
  await database.write((transaction) =>
    transaction.deleteFrom('settings').where('name', '=', name).execute(),
  );
}
