import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { createRestartBudget } from './restart-budget.ts';

it('a restart budget allows so many in any minute, however the wall clock jumps', () => {
  const clock = createManualClock();
  const budget = createRestartBudget({ perMinute: 2, clock });
  assert.equal(budget.take(), true);
  clock.advance(20_000);
  assert.equal(budget.take(), true);
  assert.equal(budget.take(), false);
  assert.equal(budget.waitMs(), 40_000);
  clock.step(0);
  clock.advance(39_999);
  assert.equal(budget.take(), false);
  clock.advance(1);
  assert.equal(budget.take(), true);
  assert.equal(budget.waitMs(), 20_000);
  assert.equal(createRestartBudget({ perMinute: 0, clock }).take(), false);
});
