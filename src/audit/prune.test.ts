import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import { openDatabase } from '../storage/database.ts';
import type { AuditLog } from './audit-log.ts';
import { draft } from './audit-log.contract.ts';
import { openAuditLog } from './log.ts';
import { createHolds } from './privacy/hold.ts';
import { privacyProblems } from './privacy/problems.ts';
import { createRetention, parsePeriod } from './privacy/retention.ts';
import { auditProblems } from './problems.ts';
import { tilePath } from './tile.ts';
import { verifyLog } from './verify.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-prune-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const { privateKey } = generateKeyPairSync('ed25519');
const clock = createManualClock();

const open = (directory: string): Promise<AuditLog> =>
  openAuditLog({ directory, signingKey: privateKey, origin: 'keep.test/audit', clock, log: silentLog });

const appendMany = async (log: AuditLog, entries: number): Promise<void> => {
  await Promise.all(Array.from({ length: entries }, () => log.append(draft())));
};

/** A log of three months: 600 entries in September, 300 in October, 10 in November. */
async function makeLog(): Promise<{ readonly directory: string; readonly log: AuditLog }> {
  const directory = join(root, String(count++), 'log');
  clock.step(Date.parse('2026-09-10T00:00:00Z'));
  const log = await open(directory);
  await appendMany(log, 600);
  clock.step(Date.parse('2026-10-01T00:00:00Z'));
  await appendMany(log, 300);
  clock.step(Date.parse('2026-11-20T00:00:00Z'));
  await appendMany(log, 10);
  return { directory, log };
}

const bundle = (directory: string, place: number): string => join(directory, tilePath('entries', place));

describe('a log whose oldest entries are deleted', () => {
  it('verifies, opens and goes on without them, and says in an entry that they are gone', async () => {
    const { directory, log } = await makeLog();
    const before = await log.checkpoint();
    assert.equal(await log.prune(600), 512);
    assert.deepEqual(
      [0, 1, 2].map((place) => existsSync(bundle(directory, place))),
      [false, false, true],
    );
    assert.ok(existsSync(join(directory, tilePath(0, 0))), 'hashes stay');
    const found = await log.entry(910);
    assert.equal(found?.entry.action, 'audit.prune');
    assert.deepEqual(found.entry.detail, { below: 512, entries: 512 });
    assert.equal(await log.entry(511), undefined);
    assert.equal((await log.entry(512))?.index, 512);
    assert.deepEqual([log.first(), log.size()], [512, 911]);
    let seen = 0;
    let at: number | undefined;
    do {
      const page = await log.entries({ limit: 1000, ...(at !== undefined && { before: at }) });
      seen += page.entries.length;
      at = page.before;
    } while (at !== undefined);
    assert.equal(seen, 911 - 512);
    assert.deepEqual(await log.verify(), { ...(await log.verify()), ok: true, size: 911, problems: [] });
    await log.close();

    const again = await open(directory);
    assert.equal(again.first(), 512);
    await again.append(draft());
    assert.deepEqual((await again.verify()).problems, []);
    assert.equal(await again.prune(600), 0, 'nothing more to delete');
    const { vkey } = again;
    await again.close();
    assert.ok(before.includes('\n910\n'), 'an older checkpoint');
    assert.equal((await verifyLog(directory, vkey)).ok, true);
  });

  it('does not verify when the deletion is not recorded, or more is missing than was recorded', async () => {
    const { directory, log } = await makeLog();
    await log.prune(600);
    await log.close();
    const check = async (change: (copy: string) => void): Promise<readonly string[]> => {
      const copy = join(root, String(count++));
      cpSync(directory, copy, { recursive: true });
      change(copy);
      return (await verifyLog(copy, log.vkey)).problems.map(({ message }) => message);
    };
    const file = 'pruned.json';
    const text = readFileSync(join(directory, file), 'utf8');
    assert.deepEqual(await check(() => {}), []);
    assert.match((await check((copy) => rmSync(join(copy, file))))[0] ?? '', /entry 0 is missing/);
    assert.match((await check((copy) => rmSync(bundle(copy, 2))))[0] ?? '', /entry 512 is missing/);
    for (const wrong of [
      text.replace('512', '768'),
      text.replace('910', '909'),
      text.replace('910', '99999'),
    ]) {
      const found = await check((copy) => writeFileSync(join(copy, file), wrong));
      assert.match(found[0] ?? '', /pruned\.json says that entries below \d+ were deleted/);
    }
    const tile = join(tilePath(0, 0));
    const flipped = await check((copy) => {
      const bytes = readFileSync(join(copy, tile));
      bytes[5] = (bytes[5] ?? 0) ^ 1;
      writeFileSync(join(copy, tile), bytes);
    });
    assert.notDeepEqual(flipped, [], 'the hashes that stay are still checked');
  });

  it('finishes a deletion that was cut off', async () => {
    const { directory, log } = await makeLog();
    await log.checkpoint();
    const kept = readFileSync(bundle(directory, 1));
    await log.prune(600);
    await log.close();
    writeFileSync(bundle(directory, 1), kept);
    const again = await open(directory);
    await again.prune(0);
    assert.equal(existsSync(bundle(directory, 1)), false);
    await again.close();
  });

  it('keeps a start that waits for its end', async () => {
    const directory = join(root, String(count++), 'log');
    const log = await open(directory);
    await appendMany(log, 300);
    await log.append(draft({ phase: 'start' }));
    await appendMany(log, 300);
    assert.equal(await log.prune(600), 256);
    await log.close();
    const again = await open(directory);
    assert.equal(again.unfinished().length, 1);
    await again.close();
  });
});

describe('retention', () => {
  it('deletes whole months after the policy, and nothing while a hold stands', async () => {
    const { log } = await makeLog();
    const database = await openDatabase(join(root, `${count++}.db`), clock);
    const holds = createHolds(database);
    const retention = createRetention({ audit: log, policy: { months: 1 }, holds, clock });
    const plan = { policy: 'P1M', keptFrom: '2026-10', first: 0, below: 600, size: 910, held: false };
    assert.deepEqual(await retention.plan(), plan);
    await holds.set({ reason: 'case 1', since: '2026-11-20T00:00:00.000Z', by: 'usr_ada' });
    await holds.set({ reason: 'case 2', since: '2026-11-21T00:00:00.000Z', by: 'usr_ada' });
    assert.equal((await holds.current())?.reason, 'case 2');
    assert.deepEqual(await retention.plan(), { ...plan, held: true });
    await assert.rejects(retention.apply(), (error) => isProblem(error, privacyProblems.held));
    assert.equal(log.first(), 0);
    await holds.lift();
    await assert.rejects(holds.lift(), (error) => isProblem(error, privacyProblems.not_held));
    assert.equal(await retention.apply(), 512);
    assert.equal(await retention.apply(), 0);
    const forever = createRetention({ audit: log, policy: 'forever', holds, clock });
    assert.deepEqual(await forever.plan(), {
      policy: 'forever',
      first: 512,
      below: 512,
      size: 911,
      held: false,
    });
    assert.equal(await forever.apply(), 0);
    await database.close();
    await log.close();
    await assert.rejects(log.append(draft()), (error) => isProblem(error, auditProblems.unavailable));
  });

  it('is stated in years and months', () => {
    assert.deepEqual(['P1Y', 'P18M', 'P1Y6M', 'P0Y', 'P', 'P1D', '1Y', 'P1M2Y', ''].map(parsePeriod), [
      { months: 12 },
      { months: 18 },
      { months: 18 },
      ...Array<undefined>(6).fill(undefined),
    ]);
  });
});
