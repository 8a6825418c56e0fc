import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { isProblem } from '../../kernel/problem.ts';
import { auditProblems } from '../problems.ts';
import { receiptProblems } from './problems.ts';
import { parseReceipt } from './receipt.ts';
import { createReceipts, prefersReceipt, receiptHeader } from './receipts.ts';
import { openTestLog, PREDICTION, type TestLog } from './testing.ts';
import { verifyReceipt } from './verify-receipt.ts';

let log: TestLog;
before(async () => {
  log = await openTestLog({ around: 300 });
});
after(() => log[Symbol.asyncDispose]());

const isVerified = (receipt: string): boolean => verifyReceipt({ receipt, keys: [log.audit.vkey] }).ok;

describe('receipts', () => {
  it('are made of every entry that a checkpoint covers', async () => {
    for (const index of [0, 255, 256, 300, 511, 512, 600]) {
      const receipt = await log.receipts.read(index);
      assert.ok(isVerified(receipt), `entry ${index}`);
      assert.equal(parseReceipt(receipt).index, index);
    }
  });

  it('of an entry beyond the checkpoint come with the next one, at once if asked for', async () => {
    const { index } = await log.audit.append(PREDICTION);
    await assert.rejects(
      log.receipts.read(index),
      (error) => isProblem(error, receiptProblems.receipt_pending) && error.headers['retry-after'] === '1',
    );
    assert.ok(isVerified(await log.receipts.full(index)));
    assert.ok(isVerified(await log.receipts.read(index)));
  });

  it('share their seals when many are asked for at once, and none is older than its entry', async () => {
    let seals = 0;
    const asked = Promise.withResolvers<void>();
    const places = await Promise.all(Array.from({ length: 40 }, () => log.audit.append(PREDICTION)));
    const checkpoint = await log.receipts.checkpoint();
    const receipts = createReceipts({
      directory: log.directory,
      published: async () => checkpoint,
      async seal() {
        seals++;
        await asked.promise;
        return log.audit.checkpoint();
      },
    });
    const all = places.map(({ index }) => receipts.full(index));
    await setImmediate();
    assert.equal(seals, 1);
    asked.resolve();
    const texts = await Promise.all(all);
    assert.ok(texts.every(isVerified));
    assert.ok(texts.every((text) => parseReceipt(text).checkpoint !== checkpoint));
    // One was running when the others came; one was for all of those.
    assert.equal(seals, 2);
  });

  it('go on after a seal that failed', async () => {
    let failures = 1;
    const receipts = createReceipts({
      directory: log.directory,
      async seal() {
        if (failures-- > 0) throw auditProblems.unavailable('The disk is full.');
        return await log.audit.checkpoint();
      },
    });
    const { index } = await log.audit.append(PREDICTION);
    const outcomes = await Promise.allSettled([receipts.full(index), receipts.full(index)]);
    const failed = outcomes.filter((each) => each.status === 'rejected');
    assert.equal(failed.length, 1, 'one waited for the seal after');
    assert.ok(isProblem(failed[0]?.reason, auditProblems.unavailable));
    assert.ok(isVerified(await receipts.full(index)));
  });

  it('carry the checkpoint that is published, cosignatures and all', async () => {
    const line = `\u2014 witness.example ${Buffer.alloc(76).toString('base64')}\n`;
    const published = async (): Promise<string> =>
      (await readFile(join(log.directory, 'checkpoint'), 'utf8')) + line;
    const receipt = await createReceipts({ directory: log.directory, published }).read(7);
    assert.ok(receipt.endsWith(line));
    assert.ok(isVerified(receipt));
  });

  it('are not made of files that were changed', async () => {
    const copy = await mkdtemp(join(tmpdir(), 'modelkeep-receipts-'));
    await cp(log.directory, copy, { recursive: true });
    const receipts = createReceipts({ directory: copy });
    assert.ok(isVerified(await receipts.full(5)), 'a copy of the log is enough');
    const isCorrupt = (error: unknown): boolean => isProblem(error, auditProblems.log_corrupt);
    const bundle = join(copy, 'tile/entries/000');
    const bytes = await readFile(bundle);
    await writeFile(bundle, bytes.with(40, (bytes[40] as number) ^ 1));
    await assert.rejects(receipts.read(0), isCorrupt);
    await writeFile(bundle, bytes.subarray(0, 900));
    await assert.rejects(receipts.read(255), isCorrupt);
    await rm(bundle);
    await assert.rejects(receipts.read(3), isCorrupt);
    await writeFile(join(copy, 'checkpoint'), 'keep.example.org/audit\n01\nAAAA\n');
    await assert.rejects(receipts.read(3), isCorrupt);
    await rm(join(copy, 'checkpoint'));
    await assert.rejects(receipts.read(3), isCorrupt);
    await rm(copy, { recursive: true });
  });

  it('fit a header, or are left out of it', async () => {
    const receipt = await log.receipts.read(log.index);
    const header = receiptHeader(receipt);
    assert.equal(Buffer.from(header ?? '', 'base64').toString(), receipt);
    assert.ok((header ?? '').length < 4096, `${header?.length} characters`);
    assert.equal(receiptHeader('x'.repeat(6145)), undefined);
  });
});

describe('the preference for a whole receipt', () => {
  const yes = [
    'audit-receipt=full',
    'respond-async, Audit-Receipt = "full"; x=1',
    'wait=5,audit-receipt=full',
  ];
  const no = [
    undefined,
    '',
    'audit-receipt',
    'audit-receipt=fuller',
    'x-audit-receipt=full',
    'audit-receipt=none',
  ];
  it('is read as RFC 7240 writes it', () => {
    assert.deepEqual(yes.map(prefersReceipt), [true, true, true]);
    assert.deepEqual(no.map(prefersReceipt), Array(6).fill(false));
  });
});
