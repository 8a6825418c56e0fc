import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { createNames, NAME_TABLES } from './names.ts';
import { IndexDamage } from './numbers.ts';
import { DAY_MS, HOUR_MS } from './protocol.ts';
import { createTallies, type Part, TALLY_TABLES } from './tallies.ts';

const decisions = ['allow', 'deny', 'error'] as const;
const hours = (from: number, to: number): Part => ({ unit: HOUR_MS, from: from * HOUR_MS, to: to * HOUR_MS });
const days = (from: number, to: number): Part => ({ unit: DAY_MS, from: from * DAY_MS, to: to * DAY_MS });

function open(): {
  readonly database: DatabaseSync;
  readonly tallies: ReturnType<typeof createTallies>;
  readonly count: (hour: number, ...who: readonly string[]) => void;
} {
  const database = new DatabaseSync(':memory:');
  database.exec(NAME_TABLES + TALLY_TABLES);
  const names = createNames(database);
  const tallies = createTallies(database, names);
  return {
    database,
    tallies,
    count(hour, ...who) {
      for (const each of who) tallies.count('principal', names.idOf(each), 'deny', hour);
    },
  };
}

describe('tallies', () => {
  it('count by the hour and by the day, while the hour lasts and after it', () => {
    const { database, tallies, count } = open();
    const top = (...parts: readonly Part[]): unknown =>
      tallies.top('principal', { decisions, parts, limit: 9 }).map(({ name, count: n }) => `${name} ${n}`);
    count(5, 'ada', 'bob', 'ada');
    tallies.write();
    assert.deepEqual(top(hours(5, 6)), ['ada 2', 'bob 1']);
    assert.deepEqual(top(days(0, 1)), ['ada 2', 'bob 1'], 'a day that has not ended');
    assert.deepEqual(top(hours(4, 5)), []);
    count(5, 'eve');
    count(6, 'bob', 'bob', 'bob');
    tallies.write();
    assert.equal(
      database.prepare('select count(*) as n from tally').get()?.['n'],
      1,
      'the hour in hand alone',
    );
    assert.deepEqual(top(hours(5, 6)), ['ada 2', 'bob 1', 'eve 1']);
    assert.deepEqual(top(days(0, 1)), ['bob 4', 'ada 2', 'eve 1']);
    // The clock goes back, and on again.
    count(5, 'ada');
    tallies.write();
    count(30, 'ada');
    count(6, 'eve');
    count(30, 'ada');
    tallies.write();
    assert.deepEqual(top(hours(5, 6)), ['ada 3', 'bob 1', 'eve 1']);
    assert.deepEqual(top(hours(6, 7)), ['bob 3', 'eve 1']);
    assert.deepEqual(top(days(0, 1)), ['bob 4', 'ada 3', 'eve 2']);
    assert.deepEqual(top(days(0, 2)), ['ada 5', 'bob 4', 'eve 2']);
    assert.deepEqual(top(hours(5, 24), days(1, 2)), ['ada 5', 'bob 4', 'eve 2']);
    // Opened again: it does not know which hour was in hand.
    const again = createTallies(database, createNames(database));
    again.count('principal', createNames(database).idOf('eve'), 'deny', 30);
    again.write();
    assert.deepEqual(top(days(1, 2)), ['ada 2', 'eve 1']);
  });

  it('name the most frequent, and of those as frequent the first by name', () => {
    const { tallies, count } = open();
    const many = Array.from({ length: 300 }, (_, at) => `p${String(299 - at).padStart(3, '0')}`);
    count(1, ...many, 'p123', 'p200', 'p200');
    count(2, ...many);
    tallies.write();
    const top = (limit: number, kind: 'principal' | 'resource' = 'principal'): unknown =>
      tallies.top(kind, { decisions: ['deny'], parts: [hours(0, 9)], limit });
    assert.deepEqual(top(4), [
      { name: 'p200', count: 4 },
      { name: 'p123', count: 3 },
      { name: 'p000', count: 2 },
      { name: 'p001', count: 2 },
    ]);
    assert.deepEqual((top(1000) as unknown[]).length, 300);
    assert.deepEqual(top(4, 'resource'), []);
  });

  it('forget a batch that was rolled back', () => {
    const { database, tallies, count } = open();
    count(1, 'ada');
    tallies.write();
    database.exec('begin');
    count(2, 'ada');
    tallies.write();
    database.exec('rollback');
    tallies.forget();
    count(2, 'ada', 'ada');
    tallies.write();
    const found = tallies.top('principal', { decisions, parts: [days(0, 1)], limit: 9 });
    assert.deepEqual(found, [{ name: 'ada', count: 3 }]);
  });

  it('refuse what was damaged', () => {
    const { database, tallies, count } = open();
    count(1, 'ada');
    count(2, 'ada');
    tallies.write();
    database.exec("update past set bytes = cast(bytes || x'01' as blob)");
    const query = { decisions, parts: [hours(0, 9)], limit: 9 };
    assert.throws(() => tallies.top('principal', query), IndexDamage);
  });
});
