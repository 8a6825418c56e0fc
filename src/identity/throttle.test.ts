import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { createRecent } from './recent.ts';
import { sourceKey } from './source-key.ts';
import { type Attempt, createThrottle, type Throttle } from './throttle.ts';

const A = '192.0.2.1';

test('a source has 20 failures at once, then 10 a minute', () => {
  const clock = createManualClock();
  const throttle = createThrottle({ clock });
  for (let i = 0; i < 20; i++) {
    assert.equal(throttle.sourceWait(A), 0);
    throttle.sourceFailed(A);
  }
  assert.equal(throttle.sourceWait(A), 6_000);
  assert.deepEqual(throttle.begin(A, 'anyone'), { kind: 'source', waitMs: 6_000 });
  assert.equal(throttle.sourceWait('192.0.2.2'), 0);
  clock.advance(6_000);
  assert.equal(throttle.sourceWait(A), 0);
  throttle.sourceFailed(A);
  assert.equal(throttle.sourceWait(A), 6_000);
  clock.advance(600_000);
  for (let i = 0; i < 20; i++) throttle.sourceFailed(A);
  assert.ok(throttle.sourceWait(A) > 0, 'the bucket holds no more than 20');
});

test('successes cost a source nothing', () => {
  const throttle = createThrottle({ clock: createManualClock() });
  for (let i = 0; i < 100; i++) attempt(throttle, A, 'ada').succeed();
  for (let i = 0; i < 100; i++) attempt(throttle, A, 'ada').cancel();
  assert.equal(throttle.sourceWait(A), 0);
});

test('after five failures an account is delayed by 1 s, doubling to 15 min, whichever sources they come from', () => {
  const clock = createManualClock();
  const throttle = createThrottle({ clock });
  const delays: number[] = [];
  for (let i = 0; i < 18; i++) {
    attempt(throttle, `192.0.2.${i}`, 'ada').fail();
    const refusal = throttle.begin(`198.51.100.${i}`, 'ada');
    if (refusal.kind === 'attempt') refusal.cancel();
    else delays.push(refusal.waitMs);
    clock.advance(refusal.kind === 'attempt' ? 0 : refusal.waitMs);
  }
  assert.deepEqual(
    delays,
    [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900].map((s) => s * 1000),
  );
});

test('another account, and another spelling of the name, has its own count', () => {
  const throttle = createThrottle({ clock: createManualClock() });
  for (let i = 0; i < 5; i++) attempt(throttle, `192.0.2.${i}`, 'ada').fail();
  assert.equal(throttle.begin(A, 'ada').kind, 'account');
  attempt(throttle, A, 'Ada').cancel();
  attempt(throttle, A, '__proto__').cancel();
});

test('a source that has proved the password is not locked out by the failures of others', () => {
  const clock = createManualClock();
  const throttle = createThrottle({ clock });
  attempt(throttle, A, 'ada').succeed();
  for (let i = 0; i < 1000; i++) {
    const guess = throttle.begin(`198.51.${i >> 8}.${i & 255}`, 'ada');
    if (guess.kind === 'attempt') guess.fail();
  }
  assert.equal(throttle.begin('192.0.2.99', 'ada').kind, 'account');
  attempt(throttle, A, 'ada').succeed();
});

test('guesses in parallel buy nothing: 16 in flight, and one when the account is delayed', () => {
  const clock = createManualClock();
  const throttle = createThrottle({ clock });
  const flights = Array.from({ length: 16 }, (_, i) => attempt(throttle, `192.0.2.${i}`, 'ada'));
  assert.equal(throttle.begin('192.0.2.77', 'ada').kind, 'account');
  for (const flight of flights) flight.fail();
  clock.advance(900_000);
  const one = attempt(throttle, '192.0.2.78', 'ada');
  assert.equal(throttle.begin('192.0.2.79', 'ada').kind, 'account');
  one.fail();
});

test('failures are forgotten after a day', () => {
  const clock = createManualClock();
  const throttle = createThrottle({ clock });
  for (let i = 0; i < 5; i++) attempt(throttle, `192.0.2.${i}`, 'ada').fail();
  clock.advance(24 * 3_600_000 + 1);
  attempt(throttle, A, 'ada').fail();
  attempt(throttle, A, 'ada').cancel();
});

test('an IPv6 source is its /64, a mapped one its IPv4 address', () => {
  assert.equal(sourceKey('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  assert.equal(sourceKey('2001:db8:1:2::ffff'), '2001:db8:1:2::/64');
  assert.equal(sourceKey('2001:0db8:0001:0002::1%eth0'), '2001:db8:1:2::/64');
  assert.equal(sourceKey('::1'), '0:0:0:0::/64');
  assert.equal(sourceKey('1::'), '1:0:0:0::/64');
  assert.equal(sourceKey('64:ff9b::192.0.2.1'), '64:ff9b:0:0::/64');
  assert.equal(sourceKey('::ffff:192.0.2.1'), '192.0.2.1');
  assert.equal(sourceKey('::ffff:c000:201'), '192.0.2.1');
  assert.equal(sourceKey('192.0.2.1'), '192.0.2.1');
  assert.equal(sourceKey(':::'), 'unknown');
});

test('the tables forget the least recently used beyond their bound', () => {
  const recent = createRecent<number>(2);
  recent.set('a', 1);
  recent.set('b', 2);
  recent.get('a');
  recent.set('c', 3);
  assert.equal(recent.size, 2);
  assert.deepEqual([recent.get('a'), recent.get('b'), recent.get('c')], [1, undefined, 3]);
});

function attempt(throttle: Throttle, address: string, account: string): Attempt {
  const begun = throttle.begin(address, account);
  assert.ok(begun.kind === 'attempt', `refused by ${begun.kind}`);
  return begun;
}
