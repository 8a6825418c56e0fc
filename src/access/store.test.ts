import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openDatabase } from '../storage/database.ts';
import { createMemoryStore } from './memory-store.ts';
import { createSqlStore } from './sql-store.ts';
import { testAccessStore } from './store.contract.ts';

testAccessStore('memory', async () => createMemoryStore());
testAccessStore('sql', async () => createSqlStore(await openDatabase(':memory:')));

test('sql: a change that fails half-way leaves nothing behind', async () => {
  const store = createSqlStore(await openDatabase(':memory:'));
  const group = { id: 'grp_a', name: 'a', createdAt: 1 };
  const twice = store.apply(1, [
    { kind: 'add_group', group },
    { kind: 'add_group', group },
  ]);
  await assert.rejects(twice);
  assert.deepEqual(await store.load(), { revision: 1, roles: [], groups: [], bindings: [] });
});
