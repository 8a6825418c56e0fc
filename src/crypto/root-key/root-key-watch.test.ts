import assert from 'node:assert/strict';
import test from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { READY } from './root-key-provider.ts';
import { createRootKeyWatch } from './root-key-watch.ts';
import { testDeps } from './testing.ts';

test('a provider is asked when somebody looks and the last answer is old, never twice at once', async () => {
  const clock = createManualClock();
  const { log, events } = testDeps('/none');
  const lost = { ready: false, reasons: ['the root-key provider cannot be reached'] };
  let answer = READY;
  let asked = 0;
  const check = async () => {
    asked++;
    return answer;
  };
  const watch = createRootKeyWatch({ provider: { check }, clock, log });
  const look = async (ms: number): Promise<unknown> => {
    clock.advance(ms);
    watch.state();
    watch.state();
    await watch.settled();
    return watch.state();
  };
  assert.deepEqual(await look(29_999), READY);
  assert.equal(asked, 0);
  answer = lost;
  assert.deepEqual(await look(1), lost);
  assert.equal(asked, 1);
  assert.deepEqual(await look(10_000), lost);
  assert.equal(asked, 1);
  await look(30_000);
  answer = READY;
  assert.deepEqual(await look(30_000), READY);
  assert.deepEqual(events, ['warn root_key.provider_lost', 'info root_key.provider_back']);
});
