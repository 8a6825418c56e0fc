import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { createLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { AuditLog } from './audit-log.ts';
import { draft } from './audit-log.contract.ts';
import { type AuditTuning, openAuditLog } from './log.ts';
import { auditProblems } from './problems.ts';
import { createReserve, type Space, type SpaceLevel } from './reserve.ts';
import { createCommitter } from './wal/committer.ts';
import { diskFiles } from './wal/files.ts';
import { createHandover, GROUP, TURN } from './wal/handover.ts';
import { createWriterTurns, type WriterData } from './wal/protocol.ts';
import { listSegments } from './wal/segment.ts';
import type { WriterThread } from './wal/writer.ts';

const MIB = 1 << 20;
const GIB = 2 ** 30;
const root = mkdtempSync(join(tmpdir(), 'modelkeep-fail-closed-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newPath = (): string => join(root, String(count++));
const { privateKey } = generateKeyPairSync('ed25519');
const unavailable = (error: unknown): boolean => isProblem(error, auditProblems.unavailable);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the disk reserve', () => {
  it('is a file of real blocks, given up when the disk runs full and made again when there is room', async () => {
    const path = newPath();
    let space: Space = { freeBytes: 50 * GIB, totalBytes: 100 * GIB };
    const seen: SpaceLevel[] = [];
    const reserve = createReserve({
      path,
      bytes: MIB,
      measure: async () => space,
      onLevel: (level) => seen.push(level),
    });
    await reserve.check();
    assert.equal(reserve.level(), 'ample');
    assert.deepEqual([statSync(path).size, statSync(path).blocks * 512 >= MIB], [MIB, true]);
    space = { ...space, freeBytes: 9 * GIB };
    await reserve.check();
    assert.equal(reserve.level(), 'low');
    space = { ...space, freeBytes: MIB - 1 };
    await reserve.check();
    assert.equal(reserve.level(), 'used');
    assert.equal(statSync(path).size, 0);
    // What it freed is not room that somebody made.
    space = { ...space, freeBytes: 2 * MIB - 1 };
    await reserve.check();
    assert.equal(reserve.level(), 'used');
    space = { ...space, freeBytes: 3 * MIB };
    await reserve.check();
    assert.equal(reserve.level(), 'low');
    assert.equal(statSync(path).size, MIB);
    assert.deepEqual(seen, ['low', 'used', 'low']);
  });

  it('is used from the start on a disk that has no room for it', async () => {
    const reserve = createReserve({
      path: join(newPath(), 'missing', 'reserve'),
      bytes: MIB,
      measure: async () => ({ freeBytes: 50 * GIB, totalBytes: 100 * GIB }),
      onLevel: () => {},
    });
    await reserve.check();
    assert.equal(reserve.level(), 'used');
  });

  it('can be none, and then the level only warns', async () => {
    const path = newPath();
    const reserve = createReserve({
      path,
      bytes: 0,
      measure: async () => ({ freeBytes: 1, totalBytes: 100 * GIB }),
      onLevel: () => {},
    });
    await reserve.check();
    assert.equal(reserve.level(), 'low');
    assert.equal(existsSync(path), false);
  });

  it('keeps its level when the disk cannot be measured', async () => {
    const reserve = createReserve({
      path: newPath(),
      bytes: MIB,
      measure: () => Promise.reject(new Error('EIO')),
      onLevel: () => assert.fail(),
    });
    await reserve.check();
    assert.equal(reserve.level(), 'ample');
  });
});

interface Faulty {
  readonly log: AuditLog;
  readonly directory: string;
  readonly lines: string[];
  readonly space: { freeBytes: number; totalBytes: number };
}

async function open(tuning: Partial<AuditTuning> = {}, clock = createManualClock()): Promise<Faulty> {
  const directory = join(newPath(), 'log');
  const lines: string[] = [];
  const space = { freeBytes: 50 * GIB, totalBytes: 100 * GIB };
  const log = await openAuditLog({
    directory,
    signingKey: privateKey,
    origin: 'keep.test/audit',
    clock,
    log: createLog({ write: (line) => lines.push(line), clock }),
    reserve: { path: join(root, `reserve-${count}`), bytes: MIB },
    tuning: { checkMs: 5, measure: async () => space, ...tuning },
  });
  return { log, directory, lines, space };
}

async function until(holds: () => boolean): Promise<void> {
  for (let turns = 0; !holds(); turns++) {
    assert.ok(turns < 100_000, 'it did not come to pass');
    await turn();
  }
}

describe('a log on a disk that is nearly full', () => {
  it('records refusals, ends and the owner, turns the rest away, says so, and comes back', async () => {
    const { log, space, lines } = await open();
    const { id } = await log.append(draft({ phase: 'start', action: 'user.create' }));
    space.freeBytes = 1;
    await until(() => log.space() === 'used');
    assert.deepEqual(log.readiness(), {
      ready: false,
      reasons: ['the disk of the audit log is nearly full'],
    });
    assert.equal(log.available(), true);
    await assert.rejects(log.append(draft()), unavailable);
    await assert.rejects(log.append(draft({ phase: 'start' })), unavailable);
    await log.append(draft({ decision: 'deny', reason: 'access.denied' }));
    await log.append(draft({ decision: 'error', reason: 'serving.failed' }));
    await log.append(draft({ phase: 'end', of: id, action: 'user.create' }));
    await log.append(draft({ principal: { kind: 'local', id: 'local:root' }, action: 'model.delete' }));
    assert.equal(log.size(), 5);
    space.freeBytes = 50 * GIB;
    await until(() => log.space() === 'ample');
    assert.deepEqual(log.readiness(), { ready: true, reasons: [] });
    await log.append(draft());
    assert.match(lines.join(''), /audit\.reserve_used.*audit\.space_ample/s);
    assert.deepEqual((await log.verify()).problems, []);
    await log.close();
  });
});

/** The writer's thread on this thread; it answers when told to. */
function createHeldThread(): { start: (data: WriterData) => WriterThread; run: () => void } {
  const emitter = new EventEmitter();
  let serve = (): boolean => false;
  return {
    start(data) {
      const handover = createHandover(data.memory);
      const turns = createWriterTurns(
        handover,
        () => createCommitter({ ...data, files: diskFiles }),
        (answer) => emitter.emit('message', answer),
      );
      serve = () => {
        const goesOn = turns.serve();
        if (!goesOn) emitter.emit('exit');
        return handover.control[TURN] === GROUP;
      };
      queueMicrotask(() => turns.open());
      return {
        on: (event: string, listener: (...values: never[]) => void) =>
          emitter.on(event, listener as (value: unknown) => void),
        ref: () => {},
        unref: () => {},
      };
    },
    run: () => void serve(),
  };
}

describe('a log on a disk that does not answer', () => {
  it('keeps nobody waiting beyond two seconds, says so, and goes on when the disk does', async () => {
    const clock = createManualClock();
    const thread = createHeldThread();
    const { log, lines } = await open({ startWriter: thread.start, sealMs: 1 << 20 }, clock);
    const flying = log.append(draft({ reason: 'in flight' }));
    flying.catch(() => {});
    await turn();
    const queued = log.append(draft({ reason: 'queued' }));
    queued.catch(() => {});
    clock.advance(1999);
    await assert.doesNotReject(Promise.race([flying, queued, turn()]));
    assert.equal(log.readiness().ready, true);
    clock.advance(2);
    await assert.rejects(flying, unavailable);
    await assert.rejects(queued, unavailable);
    await assert.rejects(log.append(draft()), unavailable);
    assert.deepEqual(log.readiness().reasons, ['the disk of the audit log does not answer']);
    assert.match(lines.join(''), /audit\.stalled.*"refused":2/);
    thread.run();
    await turn();
    thread.run();
    await until(() => log.size() === 2);
    assert.equal(log.readiness().ready, true);
    const next = log.append(draft());
    await turn();
    thread.run();
    assert.equal((await next).index, 2);
    const closed = log.close();
    await turn();
    thread.run();
    await closed;
  });
});

describe('a log whose live segment is taken away', () => {
  for (const [what, take] of [
    ['deleted', (path: string) => unlinkSync(path)],
    ['renamed', (path: string) => renameSync(path, `${path}.old`)],
  ] as const) {
    it(`stops for good when it is ${what}, even while nobody writes`, async () => {
      const { log, directory, lines } = await open();
      await log.append(draft());
      take(listSegments(directory).at(-1)?.path ?? '');
      await until(() => !log.available());
      assert.deepEqual(log.readiness(), { ready: false, reasons: ['the audit log cannot be written'] });
      assert.match(log.reason() ?? '', /removed, replaced or renamed/);
      await assert.rejects(log.append(draft({ decision: 'deny' })), unavailable);
      assert.match(lines.join(''), /audit\.unavailable/);
      await log.close().catch(() => {});
    });
  }
});
