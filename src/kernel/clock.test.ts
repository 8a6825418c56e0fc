import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock, systemClock } from './clock.ts';

describe('a manual clock', () => {
  it('moves both times when advanced, and wall time alone when stepped', () => {
    const clock = createManualClock(1_000);
    clock.advance(5);
    assert.deepEqual([clock.now(), clock.monotonic()], [1_005, 5]);
    clock.step(10);
    assert.deepEqual([clock.now(), clock.monotonic()], [10, 5]);
  });

  it('stands still otherwise', () => {
    const clock = createManualClock();
    assert.equal(clock.now(), clock.now());
    assert.equal(clock.now(), Date.UTC(2026, 0, 1));
  });
});

describe('the system clock', () => {
  it('never goes backwards in its monotonic time', () => {
    const before = systemClock.monotonic();
    assert.ok(systemClock.monotonic() >= before);
    assert.ok(systemClock.now() > Date.UTC(2025, 0, 1));
  });
});
