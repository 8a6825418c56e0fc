import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { AuditLog } from './audit-log.ts';
import { auditLogContract, draft } from './audit-log.contract.ts';
import { type AuditLogOptions, openAuditLog } from './log.ts';
import { auditProblems } from './problems.ts';
import { verifyLog } from './verify.ts';
import { listSegments, segmentAt } from './wal/segment.ts';
import { lengthWithoutZeros } from './wal/tail.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-audit-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newDirectory = (): string => join(root, String(count++), 'log');
const { privateKey } = generateKeyPairSync('ed25519');

const open = (directory: string, change: Partial<AuditLogOptions> = {}): Promise<AuditLog> =>
  openAuditLog({
    directory,
    signingKey: privateKey,
    origin: 'keep.test/audit',
    clock: createManualClock(),
    log: silentLog,
    ...change,
  });

const appendMany = async (log: AuditLog, entries: number): Promise<void> => {
  await Promise.all(Array.from({ length: entries }, (_, at) => log.append(draft({ latencyUs: at }))));
};

const corrupt = (message: RegExp) => (error: unknown) => {
  assert.ok(isProblem(error, auditProblems.log_corrupt), String(error));
  assert.match(error.detail, message);
  return true;
};
const unavailable = (error: unknown): boolean => isProblem(error, auditProblems.unavailable);

auditLogContract('the audit log on the disk', (clock) => open(newDirectory(), { clock }));

describe('an audit log that is opened again', () => {
  it('goes on where it ended, at every size around a bundle, and verifies offline', async () => {
    const directory = newDirectory();
    let vkey = '';
    let size = 0;
    for (const more of [0, 1, 254, 1, 1, 255, 0, 90]) {
      const log = await open(directory);
      ({ vkey } = log);
      assert.equal(log.size(), size);
      await appendMany(log, more);
      size += more;
      if (size > 0) assert.equal((await log.entry(size - 1))?.index, size - 1);
      await log.close();
      const result = await verifyLog(directory, vkey);
      assert.deepEqual([result.problems, result.size, result.unsealed], [[], size, 0]);
    }
  });

  it('keeps what was durable and not sealed when the process vanished', async () => {
    const directory = newDirectory();
    const log = await open(directory);
    await appendMany(log, 5);
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    const before = await verifyLog(copy, log.vkey);
    assert.deepEqual([before.ok, before.size, before.unsealed], [true, 0, 5]);
    await log.close();
    const again = await open(copy);
    assert.equal(again.size(), 5);
    assert.equal((await again.entries({})).entries.length, 5);
    await again.close();
  });

  it('cuts off a write that did not finish, and says so to the operator', async () => {
    const directory = newDirectory();
    const log = await open(directory);
    await appendMany(log, 3);
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    await log.close();
    const { path } = segmentAt(copy, 0);
    truncateSync(path, lengthWithoutZeros(readFileSync(path)) - 7);
    const warnings: unknown[] = [];
    const again = await open(copy, { log: { ...silentLog, warn: (...values) => warnings.push(values) } });
    assert.equal(again.size(), 2);
    assert.equal((warnings[0] as unknown[])[0], 'audit.torn_write_removed');
    assert.equal((await again.append(draft())).index, 2);
    await again.close();
    assert.deepEqual((await verifyLog(copy, again.vkey)).problems, []);
  });

  it('lists the starts that have no end, sealed or not, until they get one', async () => {
    const directory = newDirectory();
    const log = await open(directory);
    const done = await log.append(draft({ phase: 'start', action: 'user.create' }));
    const open1 = await log.append(draft({ phase: 'start', action: 'user.delete' }));
    await log.append(draft({ phase: 'end', of: done.id, action: 'user.create' }));
    await appendMany(log, 300);
    await log.checkpoint();
    const open2 = await log.append(draft({ phase: 'start', action: 'role.create' }));
    await log.close();

    const second = await open(directory);
    assert.deepEqual(
      second.unfinished().map(({ index, id, entry }) => [index, id, entry.action]),
      [
        [open1.index, open1.id, 'user.delete'],
        [open2.index, open2.id, 'role.create'],
      ],
    );
    for (const { id } of second.unfinished())
      await second.append(draft({ phase: 'end', of: id, reason: 'reconciled' }));
    const copy = newDirectory();
    cpSync(directory, copy, { recursive: true });
    await second.close();
    for (const each of [directory, copy]) {
      const third = await open(each);
      assert.deepEqual(third.unfinished(), []);
      await third.close();
    }
  });

  it('notices that the clock went back while it was closed', async () => {
    const directory = newDirectory();
    const log = await open(directory, { clock: createManualClock(Date.UTC(2026, 5, 1)) });
    await log.append(draft());
    await log.close();
    const again = await open(directory, { clock: createManualClock(Date.UTC(2026, 4, 1)) });
    assert.equal((await again.append(draft())).index, 2);
    assert.equal((await again.entry(1))?.entry.action, 'audit.clock_step');
    await again.close();
  });

  it('refuses another key and another origin', async () => {
    const directory = newDirectory();
    await (await open(directory)).close();
    const isMismatch = (error: unknown): boolean => isProblem(error, auditProblems.key_mismatch);
    await assert.rejects(
      open(directory, { signingKey: generateKeyPairSync('ed25519').privateKey }),
      isMismatch,
    );
    await assert.rejects(open(directory, { origin: 'other.test/audit' }), isMismatch);
    await (await open(directory)).close();
  });

  it('drops segments that two checkpoints cover, and keeps the live one', async () => {
    const directory = newDirectory();
    const log = await open(directory, { tuning: { segmentBytes: 2000 } });
    for (let at = 0; at < 6; at++) {
      await appendMany(log, 10);
      await log.checkpoint();
    }
    assert.equal(listSegments(directory)[0]?.first, 50);
    await log.close();
    assert.deepEqual((await verifyLog(directory, log.vkey)).problems, []);
  });
});

describe('opening a log that was tampered with', () => {
  let made: string | undefined;
  const sound = async (): Promise<string> => {
    if (made !== undefined) return made;
    made = newDirectory();
    const log = await open(made);
    await appendMany(log, 300);
    await log.close();
    return made;
  };

  const cases: readonly (readonly [string, (directory: string) => void, RegExp])[] = [
    ['a flipped byte in a bundle', (d) => flip(d, 'tile/entries/001.p/44', 20), /^entry 256 /],
    ['a flipped byte in a full bundle', (d) => flip(d, 'tile/entries/000', 100), /^entry 0 does not match/],
    ['a flipped byte in a tile', (d) => flip(d, 'tile/0/000', 33), /wrong hash for entry 1/],
    ['a flipped byte in the checkpoint', (d) => flip(d, 'checkpoint', 20), /^checkpoint: /],
    ['a flipped byte in the state', (d) => flip(d, 'state.json', 150), /state.json|signed by/],
    ['a removed bundle', (d) => unlinkSync(join(d, 'tile/entries/000')), /^entry 0 is missing/],
    ['a removed state', (d) => unlinkSync(join(d, 'state.json')), /state.json is missing/],
    ['another verifier key beside it', (d) => flip(d, 'vkey', 30), /vkey is not the key/],
    ['a flipped byte in the write-ahead log', (d) => flip(d, 'wal/0.seg', -10), /^entry 299 is damaged/],
    ['a removed live segment', (d) => rmSync(join(d, 'wal'), { recursive: true }), /wal\/ has no segment/],
    [
      'a renamed live segment',
      (d) => renameSync(join(d, 'wal/0.seg'), join(d, 'wal/7.seg')),
      /^entry 7 |entry 300 is missing/,
    ],
    ['a cut write-ahead log', (d) => truncateSync(join(d, 'wal/0.seg'), 400), /^entry 1 is missing/],
  ];
  for (const [name, tamper, message] of cases) {
    it(`is refused: ${name}`, async () => {
      const directory = newDirectory();
      cpSync(await sound(), directory, { recursive: true });
      tamper(directory);
      const files = snapshot(directory);
      await assert.rejects(open(directory), (error) => {
        if (isProblem(error, auditProblems.key_mismatch)) return name.includes('state');
        return corrupt(message)(error);
      });
      assert.deepEqual(snapshot(directory), files, 'a refusal changes nothing');
    });
  }
});

describe('an audit log in use', () => {
  it('fails closed when its live segment is removed', async () => {
    const directory = newDirectory();
    const reasons: unknown[] = [];
    const log = await open(directory, { log: { ...silentLog, error: (...values) => reasons.push(values) } });
    await log.append(draft());
    unlinkSync(segmentAt(directory, 0).path);
    await assert.rejects(log.append(draft()), unavailable);
    await assert.rejects(log.append(draft()), unavailable);
    assert.equal(log.available(), false);
    assert.match(log.reason() ?? '', /removed, replaced or renamed/);
    assert.equal((reasons[0] as unknown[])[0], 'audit.unavailable');
    await assert.rejects(log.close());
  });

  it('never tells a caller of the reason, which may name paths', async () => {
    const directory = newDirectory();
    const log = await open(directory);
    unlinkSync(segmentAt(directory, 0).path);
    await assert.rejects(log.append(draft()), (error) => {
      assert.ok(isProblem(error, auditProblems.unavailable));
      assert.equal(error.status, 503);
      assert.doesNotMatch(JSON.stringify(error), /seg|removed/);
      return true;
    });
    await log.close();
  });

  it('stops when a second one was opened on its directory', async () => {
    const directory = newDirectory();
    const first = await open(directory);
    await first.append(draft());
    await first.checkpoint();
    const second = await open(directory);
    await first.append(draft());
    await assert.rejects(first.checkpoint(), corrupt(/changed by someone else/));
    await assert.rejects(first.append(draft()), unavailable);
    await assert.rejects(first.close());
    await second.close();
  });

  it('never seals an entry that was changed on the disk after it was acknowledged', async () => {
    const directory = newDirectory();
    const log = await open(directory, { tuning: { sealMs: 60_000 } });
    const other = newDirectory();
    const forger = await open(other, { tuning: { sealMs: 60_000 } });
    await log.append(draft({ reason: 'honest' }));
    await forger.append(draft({ reason: 'forged' }));
    writeFileSync(segmentAt(directory, 0).path, readFileSync(segmentAt(other, 0).path));
    await assert.rejects(log.checkpoint(), corrupt(/^entry 0 was changed/));
    assert.equal(log.available(), false);
    await assert.rejects(log.close());
    await forger.close();
  });

  it('signs nothing while tiles cannot be written, records on, and seals it all when they can', async () => {
    const directory = newDirectory();
    const log = await open(directory, { tuning: { sealMs: 60_000 } });
    await appendMany(log, 10);
    writeFileSync(join(directory, 'tile'), 'in the way');
    await assert.rejects(log.checkpoint(), unavailable);
    await appendMany(log, 300);
    assert.deepEqual((await log.entries({})).entries, []);
    assert.equal(log.available(), true);
    unlinkSync(join(directory, 'tile'));
    assert.match(await log.checkpoint(), /^keep.test\/audit\n310\n/);
    await log.close();
    assert.deepEqual((await verifyLog(directory, log.vkey)).problems, []);
  });

  it('records no more when too much is not sealed', async () => {
    const directory = newDirectory();
    const log = await open(directory, { tuning: { sealMs: 60_000, unsealedMax: 10 } });
    await appendMany(log, 11);
    await assert.rejects(log.append(draft()), unavailable);
    assert.match(log.reason() ?? '', /more than 10 entries could not be sealed/);
    await log.close();
  });

  it('finds its checks sound while it goes on recording', async () => {
    const directory = newDirectory();
    const log = await open(directory, { tuning: { segmentBytes: 10_000, sealMs: 5 } });
    const appending = (async () => {
      for (let at = 0; at < 30; at++) await appendMany(log, 20);
    })();
    assert.deepEqual((await log.verify()).problems, []);
    await appending;
    assert.deepEqual((await log.verify()).problems, []);
    assert.equal((await log.verify()).size, 600);
    await log.close();
  });
});

function flip(directory: string, file: string, at: number): void {
  const path = join(directory, file);
  const bytes = readFileSync(path);
  const place = at < 0 ? bytes.length + at : at;
  bytes[place] = (bytes[place] ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

function snapshot(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((each) => each.isFile())
    .map(
      ({ parentPath, name }) =>
        `${join(parentPath, name)} ${readFileSync(join(parentPath, name)).toString('base64')}`,
    )
    .sort();
}
