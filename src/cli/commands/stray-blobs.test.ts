import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Answers, createFakeAccess, runCli, type TestIoOptions } from '../testing.ts';
import { checkStrayBlobs, type StrayBlob } from './stray-blobs.ts';

const blob = (name: string, removable: boolean): StrayBlob => ({
  name: name.repeat(8),
  bytes: 2048,
  modifiedAt: '2026-01-01T00:00:00.000Z',
  removable,
});

async function type(line: string, answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const outcome = await runCli(['models', 'stray-blobs', ...line.split(' ').filter(Boolean)], access, {
    environment: { MODELKEEP_HOME: '/tmp' },
    ...options,
  });
  return { ...outcome, calls: access.calls };
}

describe('models stray-blobs', () => {
  it('lists them, and says when there are none', async () => {
    const { out, calls } = await type('', () => ({ blobs: [blob('a', true), blob('b', false)] }));
    assert.deepEqual(calls, [{ method: 'GET', path: '/api/v1/models/stray-blobs' }]);
    assert.equal(
      out,
      'BLOB         SIZE  MODIFIED              REMOVABLE\n' +
        'aaaaaaaa  2.0 KiB  2026-01-01T00:00:00Z  yes\n' +
        'bbbbbbbb  2.0 KiB  2026-01-01T00:00:00Z  not yet\n',
    );
    const none = await type('', () => ({ blobs: [] }));
    assert.deepEqual([none.out, none.err], ['', 'there are no stray blobs\n']);
  });

  it('deletes the old ones, or all of them, after a yes and not without', async () => {
    const answers: Answers = () => ({ removed: [blob('a', true)] });
    const old = await type('--remove --yes', answers);
    assert.deepEqual([old.code, old.out, old.err], [0, '', 'deleted 1 blob, 2.0 KiB\n']);
    assert.deepEqual(old.calls, [{ method: 'DELETE', path: '/api/v1/models/stray-blobs', query: {} }]);
    const all = await type('--remove --now', answers, { answers: [true] });
    assert.deepEqual(all.calls[0]?.query, { now: 'true' });
    const no = await type('--remove', answers, { answers: [false] });
    assert.deepEqual([no.code, no.calls], [1, []]);
    const unasked = await type('--remove', answers);
    assert.deepEqual([unasked.code, unasked.calls], [2, []]);
    const listed = await type('--now', answers);
    assert.deepEqual([listed.code, listed.calls], [2, []]);
  });
});

describe('the finding of doctor on stray blobs', () => {
  it('is a warning with the command that ends it, once it can', () => {
    assert.equal(checkStrayBlobs([]).state, 'ok');
    assert.deepEqual(checkStrayBlobs([blob('a', false), blob('b', true)]), {
      check: 'stored models',
      state: 'warning',
      detail: 'no version names 2 blobs, 4.0 KiB',
      hint: 'modelkeep models stray-blobs --remove',
    });
    assert.match(checkStrayBlobs([blob('a', false)]).hint ?? '', /after 7 days/);
  });
});
