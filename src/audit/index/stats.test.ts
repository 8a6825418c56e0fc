import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { isProblem } from '../../kernel/problem.ts';
import { auditProblems } from '../problems.ts';
import { allOf, createTestSource, indicesOf, START, withIndex } from './harness.ts';
import { DAY_MS, HOUR_MS } from './protocol.ts';

describe('stats', () => {
  const at = (ms: number, change = {}) => ({ time: new Date(START + ms).toISOString(), ...change });

  it('count by hour and by day, with the most frequent names', async () => {
    const source = createTestSource();
    const deny = { decision: 'deny', reason: 'no_matching_binding' } as const;
    source.add(
      at(0),
      at(HOUR_MS - 1, deny),
      at(HOUR_MS, { action: 'user.update', principal: { kind: 'anonymous' }, resource: '/users/usr_1' }),
      at(DAY_MS - 1, deny),
      at(DAY_MS, deny),
    );
    await withIndex({ source }, async (index) => {
      const stats = await index.stats(allOf());
      assert.equal(stats.total, 5);
      assert.equal(stats.indexed, 5);
      assert.deepEqual(stats.series, [
        { start: START, key: 'allow', count: 1 },
        { start: START, key: 'deny', count: 1 },
        { start: START + HOUR_MS, key: 'allow', count: 1 },
        { start: START + 23 * HOUR_MS, key: 'deny', count: 1 },
        { start: START + DAY_MS, key: 'deny', count: 1 },
      ]);
      assert.deepEqual(stats.principals, [
        { kind: 'user', id: 'usr_ada', name: 'ada', count: 4 },
        { kind: 'anonymous', count: 1 },
      ]);
      assert.deepEqual(stats.reasons, [
        { name: 'no_matching_binding', count: 3 },
        { name: 'allowed', count: 2 },
      ]);
      assert.deepEqual(stats.resources[1], { name: '/users/usr_1', count: 1 });
      const days = await index.stats(allOf({ by: 'day', split: 'action' }));
      assert.deepEqual(days.series, [
        { start: START, key: 'model.invoke', count: 3 },
        { start: START, key: 'user.update', count: 1 },
        { start: START + DAY_MS, key: 'model.invoke', count: 1 },
      ]);
      const denials = await index.stats(allOf({ decision: 'deny', top: 1 }));
      assert.equal(denials.total, 3);
      assert.deepEqual(denials.principals, [{ kind: 'user', id: 'usr_ada', name: 'ada', count: 3 }]);
      assert.deepEqual((await index.stats(allOf({ action: 'user.*', split: 'reason' }))).series, [
        { start: START + HOUR_MS, key: 'allowed', count: 1 },
      ]);
    });
  });

  it('agree with counting one by one over any range, whole days or not', async () => {
    const source = createTestSource();
    source.add(
      ...Array.from({ length: 400 }, (_, step) =>
        at(step * 13 * 60_000, { decision: step % 3 === 0 ? ('deny' as const) : ('allow' as const) }),
      ),
    );
    await withIndex({ source }, async (index) => {
      for (const [from, to] of [
        [0, DAY_MS],
        [1, DAY_MS - 1],
        [HOUR_MS * 5, DAY_MS * 2 + HOUR_MS * 3],
        [-DAY_MS, DAY_MS * 9],
        [DAY_MS * 2, DAY_MS * 2],
      ] as const) {
        for (const by of ['hour', 'day'] as const) {
          const stats = await index.stats(allOf({ from: START + from, to: START + to, by }));
          const low = Math.floor(from / HOUR_MS) * HOUR_MS + START;
          const high = Math.ceil(to / HOUR_MS) * HOUR_MS + START;
          const inside = source.rows.filter(
            ({ entry }) => Date.parse(entry.time) >= low && Date.parse(entry.time) < high,
          );
          assert.equal(stats.total, inside.length);
          assert.equal(
            stats.series.reduce((sum, each) => sum + each.count, 0),
            inside.length,
          );
          assert.equal(stats.principals[0]?.count ?? 0, inside.length);
          const unit = by === 'hour' ? HOUR_MS : DAY_MS;
          for (const { start, key, count } of stats.series) {
            const counted = inside.filter(
              ({ entry }) =>
                entry.decision === key && Math.floor(Date.parse(entry.time) / unit) * unit === start,
            );
            assert.equal(count, counted.length);
          }
        }
      }
    });
  });

  it('are refused, not wrong, when there is no index', async () => {
    const source = createTestSource();
    source.add({}, {});
    await withIndex({ source, file: '/dev/null/audit-index.db' }, async (index) => {
      await assert.rejects(index.stats(allOf()), (error) => isProblem(error, auditProblems.unavailable));
      assert.deepEqual(await indicesOf(index, { principal: 'ada' }), [1, 0]);
      assert.ok(index.status().failures > 0);
    });
  });
});
