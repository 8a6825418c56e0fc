import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { draft } from './audit-log.contract.ts';
import { createStamp } from './stamp.ts';

describe('the ids of entries', () => {
  it('sort as the log does: within a millisecond, past the counter, over a clock step and over a restart', () => {
    const clock = createManualClock();
    const ids: string[] = [];
    let stamps = createStamp(clock);
    const stamp = (count: number): void => {
      for (let at = 0; at < count; at++) {
        const { entry, step } = stamps.stamp(draft());
        if (step !== undefined) ids.push(step.id);
        ids.push(entry.id);
      }
    };
    stamp(5000);
    clock.advance(1);
    stamp(10);
    clock.step(clock.now() - 60_000);
    stamp(10);
    stamps = createStamp(clock, { id: ids.at(-1) ?? '', time: new Date(clock.now()).toISOString() });
    stamp(10);
    assert.equal(ids.length, 5031);
    assert.deepEqual(ids, ids.toSorted());
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(
      ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)),
    );
  });
});
