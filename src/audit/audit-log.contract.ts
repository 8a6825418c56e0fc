import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ManualClock } from '../kernel/clock.ts';
import { createManualClock } from '../kernel/clock.ts';
import { isProblem } from '../kernel/problem.ts';
import type { AuditLog } from './audit-log.ts';
import { openCheckpoint } from './checkpoint.ts';
import type { EntryDraft } from './entry.ts';
import { parseVerifierKey } from './note.ts';
import { auditProblems } from './problems.ts';
import { serialiseEntry } from './serialise.ts';
import { createRange, leafHash } from './tree.ts';

export const draft = (change: Partial<EntryDraft> = {}): EntryDraft => ({
  phase: 'single',
  action: 'model.invoke',
  principal: { kind: 'user', id: 'usr_ada', name: 'ada' },
  resource: '/projects/fraud/models/score',
  decision: 'allow',
  reason: 'allowed',
  ...change,
});

/** What every audit log does. `open` gives an empty one; the test closes it. */
export function auditLogContract(name: string, open: (clock: ManualClock) => Promise<AuditLog>): void {
  const withLog = (work: (log: AuditLog, clock: ManualClock) => Promise<void>) => async (): Promise<void> => {
    const clock = createManualClock();
    const log = await open(clock);
    try {
      await work(log, clock);
    } finally {
      await log.close();
    }
  };

  describe(name, () => {
    it(
      'tells those who follow it what is new, in order',
      withLog(async (log) => {
        const { source } = log;
        const first = new Promise<void>((resolve) => void source.onGrowth(resolve));
        await Promise.all(Array.from({ length: 300 }, (_, at) => log.append(draft({ latencyUs: at }))));
        await first;
        assert.equal(source.size(), 300);
        const read = [...(await source.read(0, 256)), ...(await source.read(256, 256))];
        assert.deepEqual(
          read.map(({ index, entry }) => [index, entry.latencyUs]),
          Array.from({ length: 300 }, (_, at) => [at, at]),
        );
        const seventh = await log.entry(7);
        assert.deepEqual(read[7]?.entry, seventh?.entry);
        assert.deepEqual(Buffer.from(read[7]?.leaf ?? []), Buffer.from(seventh?.leaf ?? []));
        assert.deepEqual(await source.read(300, 10), []);
      }),
    );
    it(
      'numbers entries in the order of the calls, from 0',
      withLog(async (log) => {
        const appended = await Promise.all(
          Array.from({ length: 40 }, (_, at) => log.append(draft({ latencyUs: at }))),
        );
        assert.deepEqual(
          appended.map(({ index }) => index),
          Array.from({ length: 40 }, (_, at) => at),
        );
        assert.equal(log.size(), 40);
        for (const at of [0, 17, 39]) assert.equal((await log.entry(at))?.entry.latencyUs, at);
        assert.equal(new Set(appended.map(({ id }) => id)).size, 40);
      }),
    );

    it(
      'gives back the id, the time and the leaf hash of the stored bytes',
      withLog(async (log, clock) => {
        const { index, id, leaf } = await log.append(draft());
        const stored = await log.entry(index);
        assert.equal(stored?.entry.id, id);
        assert.equal(stored?.entry.time, new Date(clock.now()).toISOString());
        assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        assert.deepEqual(Buffer.from(stored?.leaf ?? []), Buffer.from(leaf));
        assert.deepEqual(Buffer.from(leafHash(Buffer.from(serialiseEntry(stored.entry)))), Buffer.from(leaf));
        assert.equal(await log.entry(1), undefined);
      }),
    );

    it(
      'signs a checkpoint whose root is that of the appended leaves',
      withLog(async (log) => {
        const range = createRange();
        for (let at = 0; at < 5; at++) range.append((await log.append(draft({ latencyUs: at }))).leaf);
        const verifier = parseVerifierKey(log.vkey);
        assert.ok(verifier);
        const checkpoint = openCheckpoint(await log.checkpoint(), verifier);
        assert.equal(checkpoint.size, 5);
        assert.deepEqual(Buffer.from(checkpoint.root), Buffer.from(range.root()));
        assert.deepEqual((await log.verify()).problems, []);
      }),
    );

    it(
      'finds entries by principal, action, resource, decision and time, newest first',
      withLog(async (log, clock) => {
        const start = clock.now();
        await log.append(draft());
        clock.advance(1000);
        await log.append(
          draft({ principal: { kind: 'user', id: 'usr_eve', name: 'eve' }, decision: 'deny' }),
        );
        clock.advance(1000);
        await log.append(draft({ action: 'model.delete', resource: '/projects/fraud' }));
        await log.append(draft({ action: 'models.other', resource: '/projects/fraudulent' }));
        const indices = async (query: Parameters<AuditLog['entries']>[0]): Promise<readonly number[]> =>
          (await log.entries(query)).entries.map(({ index }) => index);
        assert.deepEqual(await indices({}), [3, 2, 1, 0]);
        assert.deepEqual(await indices({ principal: 'eve' }), [1]);
        assert.deepEqual(await indices({ principal: 'usr_ada' }), [3, 2, 0]);
        assert.deepEqual(await indices({ action: 'model.*' }), [2, 1, 0]);
        assert.deepEqual(await indices({ action: 'model.delete' }), [2]);
        assert.deepEqual(await indices({ resource: '/projects/fraud' }), [2, 1, 0]);
        assert.deepEqual(await indices({ resource: '/' }), [3, 2, 1, 0]);
        assert.deepEqual(await indices({ decision: 'deny' }), [1]);
        assert.deepEqual(await indices({ from: start + 1000, to: start + 2000 }), [1]);
        assert.deepEqual(await indices({ after: 1 }), [3, 2]);
        assert.deepEqual(await indices({ principal: 'nobody' }), []);
      }),
    );

    it(
      'pages backwards to the start of the log without a gap or a repetition',
      withLog(async (log) => {
        await Promise.all(Array.from({ length: 25 }, () => log.append(draft())));
        const seen: number[] = [];
        let before: number | undefined;
        do {
          const page = await log.entries({ limit: 10, ...(before !== undefined && { before }) });
          seen.push(...page.entries.map(({ index }) => index));
          before = page.before;
        } while (before !== undefined);
        assert.deepEqual(
          seen,
          Array.from({ length: 25 }, (_, at) => 24 - at),
        );
      }),
    );

    it(
      'refuses a field that is not in the format, and records nothing of it',
      withLog(async (log) => {
        const wrong = { ...draft(), password: 'hunter2' } as EntryDraft;
        await assert.rejects(log.append(wrong), (error) => {
          assert.ok(isProblem(error, auditProblems.entry_invalid));
          assert.match(error.detail, /entry\.password is not a field/);
          assert.doesNotMatch(error.detail, /hunter2/);
          return true;
        });
        assert.equal(log.size(), 0);
      }),
    );

    it(
      'records that the clock went back, in front of the entry that found it, and goes on in order',
      withLog(async (log, clock) => {
        await log.append(draft());
        clock.step(clock.now() - 3_600_000);
        const { index, id } = await log.append(draft({ reason: 'after' }));
        assert.equal(index, 2);
        const step = await log.entry(1);
        assert.equal(step?.entry.action, 'audit.clock_step');
        assert.equal(step.entry.detail?.['stepMs'], 3_600_000);
        const ids = (await log.entries({})).entries.map(({ entry }) => entry.id).reverse();
        assert.equal(ids[2], id);
        assert.deepEqual(ids, ids.toSorted());
        assert.equal((await log.append(draft())).index, 3);
      }),
    );

    it(
      'rejects with audit.unavailable once closed',
      withLog(async (log) => {
        await log.append(draft());
        assert.equal(log.available(), true);
        await log.close();
        assert.equal(log.available(), false);
        assert.equal(log.reason(), 'the log is closed');
        await assert.rejects(log.append(draft()), (error) => isProblem(error, auditProblems.unavailable));
      }),
    );
  });
}
