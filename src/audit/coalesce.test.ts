import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import { COALESCE_LIMITS, type CoalesceLimits, createCoalescer } from './coalesce.ts';
import type { EntryDraft } from './entry.ts';
import { openAuditLog } from './log.ts';
import { auditProblems } from './problems.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-coalesce-'));
after(() => rmSync(root, { recursive: true }));

const refusal = (address: string, change: Partial<EntryDraft> = {}): EntryDraft => ({
  phase: 'single',
  request: 'req_x',
  action: 'model.invoke',
  principal: { kind: 'anonymous' },
  source: { address, port: 4711 },
  http: { method: 'POST', route: '/predict', status: 401 },
  decision: 'deny',
  reason: 'identity.unauthenticated',
  latencyUs: 5,
  ...change,
});

function start(change: Partial<CoalesceLimits> = {}) {
  const clock = createManualClock();
  const recorded: EntryDraft[] = [];
  let firsts = 0;
  let failure: Error | undefined;
  const coalescer = createCoalescer({
    async append(draft) {
      if (failure !== undefined) throw failure;
      recorded.push(draft);
    },
    clock,
    limits: { ...COALESCE_LIMITS, ...change },
    onFirst: () => firsts++,
  });
  const offer = (count: number, draft: EntryDraft): number => {
    let taken = 0;
    for (let at = 0; at < count; at++) if (coalescer.takes(draft)) taken++;
    return taken;
  };
  const fail = (error?: Error): void => void (failure = error);
  return { clock, coalescer, recorded, offer, fail, firsts: () => firsts };
}

const countOf = (drafts: readonly EntryDraft[]): number =>
  drafts.reduce((sum, { detail }) => sum + Number(detail?.['count']), 0);

describe('coalescing', () => {
  it('records the first hundred of a source one by one, then ten a second, and counts the rest', async () => {
    const { clock, coalescer, offer, recorded, firsts } = start();
    const from = clock.now();
    assert.equal(offer(150, refusal('192.0.2.1')), 50);
    assert.equal(offer(100, refusal('192.0.2.2')), 0, 'a neighbour is not punished');
    clock.advance(500);
    assert.equal(offer(20, refusal('192.0.2.1')), 15);
    await coalescer.flush();
    assert.deepEqual(recorded, [
      {
        phase: 'single',
        action: 'model.invoke',
        principal: { kind: 'anonymous' },
        source: { address: '192.0.2.1', port: 0 },
        http: { method: 'POST', route: '/predict', status: 401 },
        decision: 'deny',
        reason: 'identity.unauthenticated',
        detail: {
          count: 65,
          from: new Date(from).toISOString(),
          to: new Date(from + 500).toISOString(),
        },
      },
    ]);
    assert.equal(firsts(), 1);
    clock.advance(60_000);
    assert.equal(offer(100, refusal('192.0.2.1')), 0);
  });

  it('keeps actions, reasons and statuses apart', async () => {
    const { coalescer, offer, recorded } = start({ burst: 1 });
    offer(1, refusal('192.0.2.1'));
    offer(3, refusal('192.0.2.1'));
    offer(4, refusal('192.0.2.1', { action: 'http.unmatched' }));
    offer(5, refusal('192.0.2.1', { decision: 'error', reason: 'http.malformed' }));
    await coalescer.flush();
    assert.deepEqual(
      recorded.map(({ action, reason, detail }) => [action, reason, detail?.['count']]),
      [
        ['model.invoke', 'identity.unauthenticated', 3],
        ['http.unmatched', 'identity.unauthenticated', 4],
        ['model.invoke', 'http.malformed', 5],
      ],
    );
  });

  it('never touches what names a principal or a credential, was allowed, or has two entries', () => {
    const { offer } = start({ burst: 0, totalBurst: 0 });
    const kept: Partial<EntryDraft>[] = [
      { principal: { kind: 'user', id: 'usr_ada', name: 'ada' } },
      { principal: { kind: 'anonymous', id: 'usr_ada' } },
      { credential: { kind: 'refused', id: 'key_1' } },
      { decision: 'allow' },
      { phase: 'start' },
      { phase: 'end', of: 'x' },
    ];
    for (const change of kept) assert.equal(offer(1000, refusal('192.0.2.1', change)), 0);
    assert.equal(offer(1000, refusal('192.0.2.1')), 1000);
  });

  it('takes a network of 64 bits as one source', () => {
    const { offer } = start({ burst: 1 });
    assert.equal(offer(1, refusal('2001:db8:1:2::1')), 0);
    assert.equal(offer(1, refusal('2001:db8:1:2:ffff::9')), 1);
    assert.equal(offer(1, refusal('2001:db8:1:3::1')), 0);
    assert.equal(offer(1, refusal('::1')), 0);
    assert.equal(offer(1, refusal('::2')), 1);
  });

  it('holds its memory whatever the number of sources, and loses no count', async () => {
    const { coalescer, offer, recorded } = start({ totalBurst: 50, sourcesMax: 100, countsMax: 10 });
    let taken = 0;
    for (let at = 0; at < 5000; at++) taken += offer(1, refusal(`10.0.${at >> 8}.${at & 255}`));
    assert.equal(taken, 4950);
    await coalescer.flush();
    assert.equal(recorded.length, 11);
    assert.equal(countOf(recorded), 4950);
    assert.equal(recorded.at(-1)?.source, undefined);
  });

  it('keeps counts that could not be recorded, and records them later', async () => {
    const { coalescer, offer, recorded, fail } = start({ burst: 0 });
    offer(7, refusal('192.0.2.1'));
    fail(new Error('the disk is full'));
    await assert.rejects(coalescer.flush(), /full/);
    offer(5, refusal('192.0.2.1'));
    fail();
    await coalescer.flush();
    assert.deepEqual([recorded.length, countOf(recorded)], [1, 12]);
  });
});

describe('a log under a flood of strangers', () => {
  it('holds 100,000 refusals in few entries, with the exact total, and those of principals one by one', async () => {
    const clock = createManualClock();
    const log = await openAuditLog({
      directory: join(root, 'log'),
      signingKey: generateKeyPairSync('ed25519').privateKey,
      origin: 'keep.test/audit',
      clock,
      log: silentLog,
    });
    const named = refusal('192.0.2.1', { credential: { kind: 'refused', id: 'key_1' } });
    const answers = [];
    for (let at = 0; at < 100_000; at++) {
      answers.push(log.appendRefusal(refusal(at % 2 === 0 ? '192.0.2.1' : '192.0.2.2')));
      if (at % 1000 === 0) {
        answers.push(log.appendRefusal(named));
        clock.advance(10);
        await Promise.all(answers.splice(0));
      }
    }
    await Promise.all(answers);
    await log.close();
    assert.ok(log.size() < 1000, `${log.size()} entries`);
    const { entries } = await log.entries({ limit: 1000 });
    const byKey = entries.filter(({ entry }) => entry.credential !== undefined);
    assert.equal(byKey.length, 100);
    const total = entries
      .filter(({ entry }) => entry.credential === undefined)
      .reduce((sum, { entry }) => sum + Number(entry.detail?.['count'] ?? 1), 0);
    assert.equal(total, 100_000);
    await assert.rejects(log.appendRefusal(refusal('192.0.2.1')), (error) =>
      isProblem(error, auditProblems.unavailable),
    );
  });
});
