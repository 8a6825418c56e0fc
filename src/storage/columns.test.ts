import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { toColumns, toMembers } from './columns.ts';

describe('columns', () => {
  const record = { id: 'key_1', macKeyVersion: 2, mac: new Uint8Array([1]), revokedAt: null };
  const row = { id: 'key_1', mac_key_version: 2, mac: record.mac, revoked_at: null };

  it('rename the members of a record, and the types follow', () => {
    const columns: { id: string; mac_key_version: number; mac: Uint8Array; revoked_at: null } =
      toColumns(record);
    assert.deepEqual(columns, row);
    assert.equal(columns.mac, record.mac);
  });

  it('come back as they were', () => {
    const members: (typeof record)[] = toMembers([row, row]);
    assert.deepEqual(members, [record, record]);
    assert.deepEqual(toMembers([toColumns(record)]), [record]);
    assert.deepEqual(toMembers([]), []);
  });

  it('that the table does not have do not compile', () => {
    // @ts-expect-error the row has no such column
    assert.equal(toColumns(record).macKeyVersion, undefined);
  });
});
