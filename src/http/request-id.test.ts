import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { newId, parseId } from '../kernel/id.ts';
import { createRequestIds } from './request-id.ts';

describe('request ids', () => {
  it('are ids of requests, all different, that carry the time as every id does', () => {
    const clock = createManualClock();
    const next = createRequestIds(clock);
    const ids = Array.from({ length: 1000 }, () => {
      clock.advance(1);
      const id = next();
      assert.equal(parseId('req', id), id);
      assert.equal(id.slice(0, 14), newId('req', clock).slice(0, 14));
      return id.slice(14);
    });
    assert.equal(new Set(ids).size, ids.length);
  });
});
