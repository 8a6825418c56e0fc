import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createManualClock, type ManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import type { AuditLog } from './audit-log.ts';
import { draft } from './audit-log.contract.ts';
import { openCheckpoint } from './checkpoint.ts';
import { cutOffEach } from './cut-off.harness.ts';
import { createIntegrator } from './integrator.ts';
import { createLogKeys } from './key-overlap.ts';
import type { LogWriter } from './log-files.ts';
import { openAuditLog } from './log.ts';
import { createNoteSigner } from './note.ts';
import { auditProblems } from './problems.ts';
import { createReceipts } from './receipt/receipts.ts';
import { verifyReceipt } from './receipt/verify-receipt.ts';
import { recover } from './recovery.ts';
import { parseState, readState, serialiseState } from './state.ts';
import { verifyLog } from './verify.ts';
import { KEY_ROTATE, keyRotationDraft } from './witness/key-rotation.ts';
import { verifierOf } from './witness/testing.ts';

const ORIGIN = 'keep.test/audit';
const OVERLAP_MS = 30 * 86_400_000;
const START = Date.UTC(2026, 0, 1);
const root = mkdtempSync(join(tmpdir(), 'modelkeep-key-change-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newDirectory = (): string => join(root, String(count++), 'log');

const newKey = (): { readonly key: KeyObject; readonly vkey: string } => {
  const key = generateKeyPairSync('ed25519').privateKey;
  return { key, vkey: createNoteSigner(ORIGIN, key).vkey };
};
const [first, second, third] = [newKey(), newKey(), newKey()];
type Key = ReturnType<typeof newKey>;

const open = (directory: string, [active, ...older]: readonly Key[], clock: ManualClock): Promise<AuditLog> =>
  openAuditLog({
    directory,
    signingKey: active?.key as KeyObject,
    previousKeys: older.map(({ key }) => key),
    origin: ORIGIN,
    clock,
    log: silentLog,
    tuning: { sealMs: 60_000 },
  });

const copyOf = (directory: string): string => {
  const copy = newDirectory();
  cpSync(directory, copy, { recursive: true });
  return copy;
};

const sizeUnder = (note: string, ...keys: readonly Key[]): number =>
  openCheckpoint(
    note,
    keys.map(({ vkey }) => verifierOf(vkey)),
  ).size;
const vkeyFile = (directory: string): string => readFileSync(join(directory, 'vkey'), 'utf8');
const announcements = async (log: AuditLog): Promise<number> =>
  (await log.entries({ action: KEY_ROTATE })).entries.length;
const mismatch = (error: unknown): boolean => isProblem(error, auditProblems.key_mismatch);

describe('a log that changes its key', () => {
  it('is verified with the old key and the new one for 30 days, and then with the new one alone', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    const before = await open(directory, [first], clock);
    for (let at = 0; at < 10; at++) await before.append(draft({ latencyUs: at }));
    await before.close();
    assert.equal(readState(directory)?.state.vkey, first.vkey);

    const log = await open(directory, [second, first], clock);
    assert.equal(log.size(), 11);
    const announced = (await log.entry(10))?.entry;
    assert.deepEqual(announced?.detail, {
      from: first.vkey,
      to: second.vkey,
      overlapUntil: new Date(START + OVERLAP_MS).toISOString(),
    });
    assert.deepEqual([log.vkey, log.vkeys()], [second.vkey, [second.vkey, first.vkey]]);
    assert.equal(vkeyFile(directory), `${second.vkey}\n${first.vkey}\n`);
    await log.append(draft());
    const both = await log.checkpoint();
    for (const keys of [[first], [second], [first, second]]) assert.equal(sizeUnder(both, ...keys), 12);
    assert.equal((await log.verify()).ok, true);

    const learned = await verifyLog(directory, first.vkey);
    assert.deepEqual([learned.ok, learned.successors], [true, [second.vkey]]);
    assert.equal((await verifyLog(directory, second.vkey)).successors, undefined);
    const all = await verifyLog(directory, vkeyFile(directory));
    assert.deepEqual([all.ok, all.successors], [true, undefined]);
    const receipt = await createReceipts({ directory }).read(3);
    for (const keys of [[first.vkey], [second.vkey], [second.vkey, first.vkey]])
      assert.equal(verifyReceipt({ receipt, keys }).ok, true);
    await log.close();

    clock.advance(OVERLAP_MS - 1);
    const again = await open(directory, [second, first], clock);
    assert.equal(await announcements(again), 1);
    assert.equal(sizeUnder(await again.checkpoint(), first), 12);
    clock.advance(1);
    const alone = await again.checkpoint();
    assert.equal(sizeUnder(alone, second), 12, 'signed anew though nothing was added');
    assert.throws(() => sizeUnder(alone, first), /no signature by the key/);
    assert.deepEqual([again.vkeys(), vkeyFile(directory)], [[second.vkey], `${second.vkey}\n`]);
    assert.equal((await again.verify()).ok, true);
    await again.close();
    assert.equal((await verifyLog(directory, second.vkey)).ok, true);
    assert.equal((await verifyLog(directory, first.vkey)).ok, false);
    assert.equal((await verifyLog(directory, [first.vkey, second.vkey])).ok, true);
    const last = await open(directory, [second], clock);
    assert.equal(last.size(), 12);
    await last.close();
    await assert.rejects(open(directory, [first], clock), mismatch);
  });

  it('ends one change before it begins the next', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    await (await open(directory, [first], clock)).close();
    await (await open(directory, [second, first], clock)).close();
    const during = await open(directory, [third, second, first], clock);
    assert.deepEqual([during.vkeys(), await announcements(during)], [[second.vkey, first.vkey], 1]);
    await during.close();
    clock.advance(OVERLAP_MS);
    const after = await open(directory, [third, second, first], clock);
    assert.deepEqual([after.vkeys(), await announcements(after)], [[third.vkey, second.vkey], 2]);
    await after.close();
    const learned = await verifyLog(directory, second.vkey);
    assert.deepEqual(learned.successors, [third.vkey]);
  });

  it('goes on alone when the old key is gone, and does not open when it went before the new one was announced', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    await (await open(directory, [first], clock)).close();
    await assert.rejects(open(directory, [second], clock), mismatch);
    await (await open(directory, [second, first], clock)).close();
    await assert.rejects(open(directory, [first], clock), mismatch);
    const alone = await open(directory, [second], clock);
    assert.deepEqual(alone.vkeys(), [second.vkey]);
    assert.equal(sizeUnder(await alone.checkpoint(), second), 1);
    await alone.close();
  });

  it('announces it again if it was off until the overlap was over', async () => {
    const clock = createManualClock(START);
    const directory = await announce(clock);
    clock.advance(OVERLAP_MS);
    const log = await open(directory, [second, first], clock);
    assert.equal(await announcements(log), 2);
    assert.equal(readState(directory)?.state.rotation?.until, clock.now() + OVERLAP_MS);
    await log.close();
    assert.deepEqual((await verifyLog(directory, first.vkey)).successors, [second.vkey]);
  });

  it('writes its state as before while no change is under way, and takes no other', () => {
    const state = { vkey: 'a', owner: 'b', checkpoint: 'c', previousSize: 1, unfinishedFrom: 2 };
    const plain = serialiseState(state);
    assert.match(plain, /^\{\n {2}"v": 1,\n {2}"vkey": "a",\n {2}"owner"/);
    assert.deepEqual(parseState(plain), state);
    const changing = { ...state, rotation: { to: 'd', until: 3 } };
    const text = serialiseState(changing);
    assert.match(text, /"v": 2/);
    assert.deepEqual(parseState(text), changing);
    for (const wrong of [
      plain.replace('"v": 1', '"v": 2'),
      text.replace('"v": 2', '"v": 1'),
      text.replace('"until": 3', '"until": -3'),
      text.replace('"to": "d"', '"to": 4'),
      text.replace('"until": 3', '"until": 3, "more": 1'),
    ])
      assert.equal(parseState(wrong), undefined, wrong);
  });

  it('refuses a file of verifier keys that names a stranger', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    await (await open(directory, [first], clock)).close();
    await (await open(directory, [second, first], clock)).close();
    writeFileSync(join(directory, 'vkey'), `${second.vkey}\n${third.vkey}\n`);
    await assert.rejects(open(directory, [second, first], clock), /audit\.log_corrupt|vkey is not/);
  });
});

describe('a change of the key that is cut off at any write', () => {
  let overlapping: string;
  before(async () => {
    const clock = createManualClock(START);
    const directory = await announce(clock);
    await (await open(directory, [second, first], clock)).close();
    overlapping = directory;
  });

  it('begins all the same when the log is opened again', async () => {
    const clock = createManualClock(START);
    const announced = await announce(clock);
    const until = clock.now() + OVERLAP_MS;
    const begin = (directory: string, files: LogWriter): void => {
      const integrator = openIntegrator(directory, files, clock);
      integrator.rotate({ to: second.vkey, until }, clock.now());
    };
    const writes = await cutOffEach(
      () => copyOf(announced),
      begin,
      async (directory) => {
        assert.equal((await verifyLog(directory, first.vkey)).ok, true, 'the old key verifies at any moment');
        const log = await open(directory, [second, first], clock);
        assert.deepEqual([log.vkeys(), await announcements(log)], [[second.vkey, first.vkey], 1]);
        assert.equal(readState(directory)?.state.rotation?.until, until);
        await log.append(draft());
        await log.close();
        const learned = await verifyLog(directory, first.vkey);
        assert.deepEqual([learned.ok, learned.size, learned.successors], [true, 7, [second.vkey]]);
        assert.equal(vkeyFile(directory), `${second.vkey}\n${first.vkey}\n`);
      },
    );
    assert.ok(writes >= 12, `${writes} writes`);
  });

  it('ends all the same when the log is opened again', async () => {
    const clock = createManualClock(START + OVERLAP_MS);
    const end = (directory: string, files: LogWriter): void => void openIntegrator(directory, files, clock);
    const writes = await cutOffEach(
      () => copyOf(overlapping),
      end,
      async (directory) => {
        assert.equal(
          (await verifyLog(directory, second.vkey)).ok,
          true,
          'the new key verifies at any moment',
        );
        const log = await open(directory, [second, first], clock);
        assert.deepEqual(log.vkeys(), [second.vkey]);
        await log.close();
        assert.equal((await verifyLog(directory, second.vkey)).ok, true);
        assert.equal((await verifyLog(directory, first.vkey)).ok, false);
        assert.equal(vkeyFile(directory), `${second.vkey}\n`);
      },
    );
    assert.ok(writes >= 6, `${writes} writes`);
  });
});

/** A log under the first key whose last entry, durable and not sealed, announces the second: as a crash leaves it. */
async function announce(clock: ManualClock): Promise<string> {
  const directory = newDirectory();
  const log = await open(directory, [first], clock);
  for (let at = 0; at < 5; at++) await log.append(draft({ latencyUs: at }));
  await log.checkpoint();
  const overlapUntil = clock.now() + OVERLAP_MS;
  await log.append(keyRotationDraft({ from: first.vkey, to: second.vkey, overlapUntil }));
  const copy = copyOf(directory);
  await log.close();
  return copy;
}

/** As the thread that seals opens a log. */
function openIntegrator(directory: string, files: LogWriter, clock: ManualClock) {
  const keys = createLogKeys(ORIGIN, [second.key, first.key]);
  const recovered = recover(directory, keys, randomUUID(), files);
  const integrator = createIntegrator({ directory, keys, recovered, files });
  integrator.seal(recovered.next, clock.now());
  return integrator;
}
