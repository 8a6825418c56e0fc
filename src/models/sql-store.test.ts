import { after } from 'node:test';
import { type Database, openDatabase } from '../storage/database.ts';
import { createSqlStore } from './sql-store.ts';
import { modelStoreContract } from './store.contract.ts';

const opened: Database[] = [];
after(() => Promise.all(opened.map((database) => database.close())));

modelStoreContract('the model store in SQLite', async () => {
  const database = await openDatabase(':memory:');
  opened.push(database);
  return createSqlStore(database);
});
