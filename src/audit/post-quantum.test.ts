import assert from 'node:assert/strict';
import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { createManualClock, type ManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import type { AuditLog } from './audit-log.ts';
import { draft } from './audit-log.contract.ts';
import { openCheckpoint, signCheckpoint } from './checkpoint.ts';
import { cutOffEach } from './cut-off.harness.ts';
import { fsckLog } from './fsck.ts';
import { createIntegrator } from './integrator.ts';
import { createLogKeys } from './key-overlap.ts';
import type { LogWriter } from './log-files.ts';
import { openAuditLog } from './log.ts';
import { createNoteSigner, parseNote } from './note.ts';
import { createReceipts } from './receipt/receipts.ts';
import { verifyReceipt } from './receipt/verify-receipt.ts';
import { recover } from './recovery.ts';
import { readState, serialiseState } from './state.ts';
import { verifyLog } from './verify.ts';
import { cosignatureTime, createCosigner } from './witness/cosignature.ts';
import { parsePolicy } from './witness/policy.ts';
import { verifierOf } from './witness/testing.ts';

const ORIGIN = 'keep.test/audit';
const START = Date.UTC(2026, 0, 1);
const OVERLAP_MS = 1000;
const root = mkdtempSync(join(tmpdir(), 'modelkeep-post-quantum-'));
after(() => rmSync(root, { recursive: true }));
let count = 0;
const newDirectory = (): string => join(root, String(count++), 'log');
const copyOf = (directory: string): string => {
  const copy = newDirectory();
  cpSync(directory, copy, { recursive: true });
  return copy;
};

const first = generateKeyPairSync('ed25519').privateKey;
const second = generateKeyPairSync('ed25519').privateKey;
const mlDsa = generateKeyPairSync('ml-dsa-44').privateKey;
const vkeyOf = (key: KeyObject): string => createNoteSigner(ORIGIN, key).vkey;
const [ed, next, pq] = [vkeyOf(first), vkeyOf(second), createCosigner(ORIGIN, mlDsa).vkey];

const open = (
  directory: string,
  clock: ManualClock,
  [signingKey = first, ...previousKeys]: readonly KeyObject[],
): Promise<AuditLog> =>
  openAuditLog({
    directory,
    signingKey,
    previousKeys,
    origin: ORIGIN,
    clock,
    log: silentLog,
    tuning: { sealMs: 60_000, keyOverlapMs: OVERLAP_MS },
  });

const read = (directory: string, file: string): string => readFileSync(join(directory, file), 'utf8');
const namesOf = (note: string): readonly (string | undefined)[] =>
  parseNote(note).signatures.map(({ name, keyId }) =>
    [ed, next, pq].find((vkey) => verifierOf(vkey).keyId === keyId && vkey.startsWith(`${name}+`)),
  );
const append = async (log: AuditLog, entries: number): Promise<void> => {
  for (let at = 0; at < entries; at++) await log.append(draft({ latencyUs: at }));
};

describe('a log with a post-quantum key', () => {
  it('signs every checkpoint twice, with the time, and is verified with either key and with both', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    const log = await open(directory, clock, [first, mlDsa]);
    assert.deepEqual(namesOf(read(directory, 'checkpoint')), [ed, pq], 'the empty one, too');
    await append(log, 5);
    clock.advance(1500);
    const note = await log.checkpoint();
    assert.deepEqual(namesOf(note), [ed, pq]);
    const [, line] = parseNote(note).signatures;
    assert.equal(cosignatureTime(line?.signature ?? assert.fail()), START / 1000 + 1);
    assert.deepEqual([log.vkey, log.vkeys()], [ed, [ed, pq]]);
    assert.equal(read(directory, 'vkey'), `${ed}\n${pq}\n`);
    assert.equal((await log.verify()).ok, true);
    await log.close();
    const receipt = await createReceipts({ directory }).read(3);
    const policy = parsePolicy(Buffer.from(`log ${ed}\nlog ${pq}\nquorum none\n`));
    for (const keys of [[ed], [pq], [ed, pq]]) {
      assert.equal((await verifyLog(directory, keys)).ok, true);
      assert.equal((await fsckLog({ directory, keys, policy, workers: 1 })).ok, true);
      assert.equal(verifyReceipt({ receipt, keys }).ok, true);
    }
    assert.equal(verifyReceipt({ receipt, policy }).ok, true);
  });

  it('gains whoever can forge Ed25519 alone nothing with those who were given both keys', async () => {
    const directory = newDirectory();
    const log = await open(directory, createManualClock(START), [first, mlDsa]);
    await append(log, 5);
    const receipt = await createReceipts({ directory, seal: () => log.checkpoint() }).full(2);
    await log.close();
    const note = read(directory, 'checkpoint');
    const { text, signatures } = parseNote(note);
    const line = signatures[1]?.line ?? '';
    const forger = createNoteSigner(ORIGIN, first);
    const grown = signCheckpoint({ ...openCheckpoint(note, verifierOf(ed)), size: 6 }, forger);
    const other = createCosigner(ORIGIN, generateKeyPairSync('ml-dsa-44').privateKey).cosign(text, 1);
    const flipped = line.replace(/(.)(?=.{9}$)/u, (one) => (one === 'A' ? 'B' : 'A'));
    const alone = signCheckpoint(openCheckpoint(note, verifierOf(ed)), forger);
    for (const [forged, why, isPlain] of [
      [alone, /no ML-DSA-44 signature by the key keep\.test\/audit\+[0-9a-f]{8}, which was given/, true],
      [`${alone}${other}\n`, /no ML-DSA-44 signature/, true],
      [`${alone}${flipped}\n`, /the signature is wrong/, true],
      [`${grown}${line}\n`, /the signature is wrong/, true],
      [note.replace(`${signatures[0]?.line}\n`, ''), /no Ed25519 signature/, false],
    ] as const) {
      const both = [verifierOf(ed), verifierOf(pq)];
      assert.throws(() => openCheckpoint(forged, both), why);
      if (isPlain) openCheckpoint(forged, verifierOf(ed));
      const copy = copyOf(directory);
      writeFileSync(join(copy, 'checkpoint'), forged);
      const found = await verifyLog(copy, [ed, pq]);
      assert.deepEqual([found.ok, found.problems[0]?.kind], [false, 'checkpoint']);
      assert.match(found.problems[0]?.message ?? '', why);
      const refused = verifyReceipt({ receipt: receipt.replace(note, forged), keys: [ed, pq] });
      assert.equal(!refused.ok && refused.fault, 'signature');
    }
  });

  it('takes the line up, and leaves it off, when it is opened, and the entries stay as they were', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    const before = await open(directory, clock, [first]);
    await append(before, 300);
    await before.close();
    const { root: rootHash } = openCheckpoint(read(directory, 'checkpoint'), verifierOf(ed));
    for (const [keys, vkeys] of [
      [
        [first, mlDsa],
        [ed, pq],
      ],
      [[first], [ed]],
      [
        [first, mlDsa],
        [ed, pq],
      ],
    ] as const) {
      const log = await open(directory, clock, keys);
      for (const file of ['checkpoint', 'state.json']) {
        const text = read(directory, file);
        const note = file === 'checkpoint' ? text : (readState(directory)?.state.checkpoint ?? '');
        assert.deepEqual(namesOf(note), vkeys, `${file}, with nothing added`);
      }
      assert.deepEqual(
        [log.vkeys(), read(directory, 'vkey')],
        [vkeys, vkeys.map((each) => `${each}\n`).join('')],
      );
      await log.close();
      const { size, root } = openCheckpoint(read(directory, 'checkpoint'), verifierOf(ed));
      assert.deepEqual([size, Buffer.from(root)], [300, Buffer.from(rootHash)]);
      assert.equal((await verifyLog(directory, vkeys)).ok, true);
      assert.equal((await verifyLog(directory, [ed, pq])).ok, vkeys.length === 2);
    }
  });

  it('changes its Ed25519 key with the line beside both, and then beside the new one', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    const before = await open(directory, clock, [first, mlDsa]);
    await append(before, 3);
    await before.close();
    const log = await open(directory, clock, [second, first, mlDsa]);
    assert.deepEqual(namesOf(await log.checkpoint()), [next, ed, pq]);
    assert.deepEqual(log.vkeys(), [next, ed, pq]);
    assert.equal(read(directory, 'vkey'), `${next}\n${ed}\n${pq}\n`);
    assert.deepEqual((await verifyLog(directory, [ed, pq])).successors, [next]);
    clock.advance(OVERLAP_MS);
    assert.deepEqual(namesOf(await log.checkpoint()), [next, pq]);
    await log.close();
    for (const keys of [[next], [next, pq], [pq]]) assert.equal((await verifyLog(directory, keys)).ok, true);
    assert.equal((await verifyLog(directory, [ed, pq])).ok, false);
    const off = await open(directory, clock, [second, first]);
    assert.deepEqual(off.vkeys(), [next]);
    await off.close();
  });

  it('goes on after a crash with entries that were durable and not sealed', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    const running = await open(directory, clock, [first, mlDsa]);
    await append(running, 4);
    await running.checkpoint();
    await append(running, 4);
    const killed = copyOf(directory);
    await running.close();
    for (const [keys, vkeys] of [
      [
        [first, mlDsa],
        [ed, pq],
      ],
      [[first], [ed]],
    ] as const) {
      const copy = copyOf(killed);
      const log = await open(copy, clock, keys);
      assert.equal(log.size(), 8);
      await log.close();
      assert.deepEqual(namesOf(read(copy, 'checkpoint')), vkeys);
      assert.equal((await verifyLog(copy, vkeys)).ok, true);
    }
  });

  it('signs anew if the line in its state is damaged', async () => {
    const directory = newDirectory();
    const clock = createManualClock(START);
    await (await open(directory, clock, [first, mlDsa])).close();
    const { state } = readState(directory) ?? assert.fail();
    const checkpoint = state.checkpoint.replace(/(.)(?=.{9}\n$)/u, (one) => (one === 'A' ? 'B' : 'A'));
    assert.notEqual(checkpoint, state.checkpoint);
    writeFileSync(join(directory, 'state.json'), serialiseState({ ...state, checkpoint }));
    await (await open(directory, clock, [first, mlDsa])).close();
    assert.equal((await verifyLog(directory, [ed, pq])).ok, true);
  });

  it('can be cut off at any write while the line is taken up or left off', async () => {
    const clock = createManualClock(START);
    const [without, withLine] = [newDirectory(), newDirectory()];
    for (const [directory, keys] of [
      [without, [first]],
      [withLine, [first, mlDsa]],
    ] as const) {
      const log = await open(directory, clock, keys);
      await append(log, 3);
      await log.close();
    }
    for (const [directory, keys, vkeys] of [
      [without, [first, mlDsa], [ed, pq]],
      [withLine, [first], [ed]],
    ] as const) {
      const work = (copy: string, files: LogWriter): void => {
        const logKeys = createLogKeys(ORIGIN, keys);
        const recovered = recover(copy, logKeys, randomUUID(), files);
        createIntegrator({ directory: copy, keys: logKeys, recovered, files }).seal(3, clock.now());
      };
      const writes = await cutOffEach(
        () => copyOf(directory),
        work,
        async (copy) => {
          assert.equal((await verifyLog(copy, ed)).ok, true, 'the Ed25519 key verifies at any moment');
          const log = await open(copy, clock, keys);
          assert.deepEqual(log.vkeys(), vkeys);
          await log.close();
          assert.equal((await verifyLog(copy, vkeys)).ok, true);
          assert.equal(read(copy, 'vkey'), vkeys.map((each) => `${each}\n`).join(''));
        },
      );
      assert.ok(writes >= 6, `${writes} writes`);
    }
  });

  it('takes one ML-DSA-44 key at most, and none alone', () => {
    assert.throws(() => createLogKeys(ORIGIN, [mlDsa]), /at least one key/);
    const more = [first, mlDsa, generateKeyPairSync('ml-dsa-44').privateKey];
    assert.throws(() => createLogKeys(ORIGIN, more), /at most one ML-DSA-44 key/);
  });
});
