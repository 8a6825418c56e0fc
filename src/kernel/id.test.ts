import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock } from './clock.ts';
import { newId, parseId } from './id.ts';

describe('ids', () => {
  it('name their kind and sort by the time they were made', () => {
    const clock = createManualClock();
    const ids = Array.from({ length: 20 }, () => {
      clock.advance(1);
      return newId('usr', clock);
    });
    assert.deepEqual(ids.toSorted(), ids);
    for (const id of ids) assert.match(id, /^usr_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
  });

  it('made in one millisecond differ', () => {
    const clock = createManualClock();
    assert.equal(new Set(Array.from({ length: 500 }, () => newId('key', clock))).size, 500);
  });

  it('are read back as their own kind alone', () => {
    const id = newId('usr', createManualClock());
    assert.equal(parseId('usr', id), id);
    assert.equal(parseId('key', id), undefined);
  });

  it('refuses any other text', () => {
    const id = newId('sa', createManualClock());
    for (const text of [
      '',
      'sa_',
      id.slice(0, -1),
      `${id}0`,
      id.toUpperCase(),
      `sa_u${id.slice(4)}`,
      `sa_8${id.slice(4)}`,
    ]) {
      assert.equal(parseId('sa', text), undefined, text);
    }
  });
});
