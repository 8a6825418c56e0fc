import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type TestContext } from 'node:test';
import { parseVerifierKey } from '../src/audit/note.ts';
import { auditProblems } from '../src/audit/problems.ts';
import { verifyReceipt } from '../src/audit/receipt/verify-receipt.ts';
import { verifyLog } from '../src/audit/verify.ts';
import { witnessProblems } from '../src/audit/witness/problems.ts';
import { serveWitness } from '../src/audit/witness/server.ts';
import { createWitnessMemory } from '../src/audit/witness/stores.ts';
import { cosignerOf } from '../src/audit/witness/testing.ts';
import { createWitness } from '../src/audit/witness/witness.ts';
import { loadConfig } from '../src/config/load.ts';
import { ringProblems } from '../src/crypto/ring/problems.ts';
import { createManualClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { isProblem } from '../src/kernel/problem.ts';
import { createKeep, type Keep, openKeep } from '../src/server/keep.ts';

const DAY_MS = 86_400_000;
/** It knows Ed25519 alone. */
const VERIFIER = join(import.meta.dirname, '..', 'examples', 'verify-receipt', 'verify.mjs');

async function placeFor(t: TestContext) {
  const home = join(await mkdtemp(join(tmpdir(), 'modelkeep-post-quantum-')), 'keep');
  t.after(() => rm(home, { recursive: true }));
  const clock = createManualClock();
  const optionsWith = (flags: Readonly<Record<string, string>>) => ({
    home,
    config: loadConfig({
      flags: { 'audit.reserveBytes': '0', ...flags },
      env: {},
      homeDirectory: home,
      readFile: () => undefined,
    }),
    clock,
    log: silentLog,
  });
  return { home, clock, optionsWith, log: join(home, 'log') };
}

const on = { 'audit.postQuantum': 'true' };
const configured = async (keep: Keep): Promise<readonly unknown[]> => {
  const { entries } = await keep.audit.entries({ action: 'audit.configure' });
  return entries.map(({ entry }) => entry.detail?.['postQuantum']);
};

test('a keep begins to sign with ML-DSA-44, and ceases, by its configuration, and records both', async (t) => {
  const { optionsWith, log } = await placeFor(t);
  const { verifierKey: ed } = await createKeep(optionsWith({}));
  let pq = '';
  {
    await using keep = await openKeep(optionsWith(on));
    [, pq = ''] = keep.audit.vkeys();
    assert.deepEqual(keep.audit.vkeys(), [ed, pq]);
    assert.equal(parseVerifierKey(pq)?.kind, 'ml-dsa-44');
    assert.deepEqual(await configured(keep), [true]);
    assert.equal((await keep.audit.verify()).ok, true);
    const { purpose, versions } = await keep.keys.get('audit-log-pq');
    assert.deepEqual(
      [purpose, versions.map(({ state, items }) => [state, items])],
      ['sign', [['active', [{ place: 'signatures of the audit log', items: 1 }]]]],
    );
    for (const refused of [
      keep.keys.rotate('audit-log-pq'),
      keep.keys.setState('audit-log-pq', 1, 'compromised'),
    ])
      await assert.rejects(refused, (error) => isProblem(error, ringProblems.rotation_refused));
  }
  assert.equal((await verifyLog(log, [ed, pq])).ok, true);
  {
    await using keep = await openKeep(optionsWith(on));
    assert.deepEqual(
      [keep.audit.vkeys(), await configured(keep)],
      [[ed, pq], [true]],
      'the same key, told once',
    );
  }
  {
    await using keep = await openKeep(optionsWith({}));
    assert.deepEqual([keep.audit.vkeys(), await configured(keep)], [[ed], [false, true]]);
    assert.deepEqual((await keep.keys.get('audit-log-pq')).versions[0]?.items, []);
  }
  assert.deepEqual([(await verifyLog(log, [ed])).ok, (await verifyLog(log, [ed, pq])).ok], [true, false]);
  await using keep = await openKeep(optionsWith(on));
  assert.deepEqual(
    [keep.audit.vkeys(), await configured(keep)],
    [
      [ed, pq],
      [true, false, true],
    ],
  );
  assert.equal((await keep.audit.verify()).ok, true);
});

test('a keep that begins with it says so in its first checkpoint, and needs no entry for it', async (t) => {
  const { optionsWith, log, home } = await placeFor(t);
  await createKeep(optionsWith(on));
  const vkeys = (await readFile(join(log, 'vkey'), 'utf8')).trim().split('\n');
  assert.equal(vkeys.length, 2);
  assert.equal((await verifyLog(log, vkeys)).ok, true);
  await using keep = await openKeep(optionsWith(on));
  assert.deepEqual([keep.audit.vkeys(), await configured(keep)], [vkeys, []]);
  const receipt = await keep.receipts.full(0);
  assert.equal(verifyReceipt({ receipt, keys: vkeys }).ok, true);
  await writeFile(join(home, 'receipt'), receipt);
  const { status, stderr } = spawnSync(process.execPath, [VERIFIER, join(home, 'receipt'), vkeys[0] ?? '']);
  assert.equal(status, 0, String(stderr));
});

test('a keep does not sign over a log that lost the line, as from before it had one', async (t) => {
  const { optionsWith, log, home } = await placeFor(t);
  await createKeep(optionsWith({}));
  await cp(log, join(home, 'old-log'), { recursive: true });
  await (await openKeep(optionsWith(on)))[Symbol.asyncDispose]();
  await rm(log, { recursive: true });
  await cp(join(home, 'old-log'), log, { recursive: true });
  await assert.rejects(openKeep(optionsWith(on)), (error) => {
    assert.ok(isProblem(error, auditProblems.log_corrupt));
    assert.match(error.detail, /^state\.json: there is no signature by the key/);
    return true;
  });
});

test('a keep goes on when it begins and ceases to sign with it before a witness that wants both', async (t) => {
  const { optionsWith, home } = await placeFor(t);
  await createKeep(optionsWith(on));
  const lines = (await readFile(join(home, 'log', 'vkey'), 'utf8')).trim().split('\n');
  const logs = lines.map((vkey) => parseVerifierKey(vkey) ?? assert.fail());
  const cosigner = cosignerOf('w.test');
  const witness = createWitness({
    store: createWitnessMemory(),
    cosigners: [cosigner],
    logs,
    clock: createManualClock(),
  });
  const server = await serveWitness({ witness, host: '127.0.0.1', port: 0, log: silentLog });
  t.after(() => server.close());
  const policy = join(home, 'witnesses.policy');
  await writeFile(policy, `witness w ${cosigner.vkey} ${server.url}\nquorum w\n`);
  for (const [flags, isCosigned] of [
    [on, true],
    [{}, false],
    [on, true],
  ] as const) {
    {
      await using keep = await openKeep(optionsWith({ ...flags, 'audit.witness.policy': policy }));
      await keep.audit.checkpoint();
    }
    // Now it shows the witness what it was left with.
    await using keep = await openKeep(optionsWith({ ...flags, 'audit.witness.policy': policy }));
    const [{ failure, size } = { size: 0 }] = keep.witnesses().witnesses;
    if (isCosigned) assert.deepEqual([failure, size > 0], [undefined, true]);
    else assert.match(failure ?? '', /403: there is no ML-DSA-44 signature/);
  }
});

test('the old key of the log signs as long as the configuration says', async (t) => {
  const { optionsWith, clock } = await placeFor(t);
  const options = optionsWith({ 'audit.keyOverlapDays': '3' });
  const { verifierKey: old } = await createKeep(options);
  {
    await using keep = await openKeep(options);
    await keep.keys.rotate('audit-log');
  }
  for (const [days, count] of [
    [0, 2],
    [2, 2],
    [1, 1],
  ] as const) {
    clock.advance(days * DAY_MS);
    await using keep = await openKeep(options);
    assert.equal(keep.audit.vkeys().length, count);
    assert.equal(keep.audit.vkeys().includes(old), count === 2);
  }
  for (const wrong of ['0', '367', '1.5', 'long'])
    assert.throws(() => optionsWith({ 'audit.keyOverlapDays': wrong }), /audit\.keyOverlapDays/);
});

test('a witness policy that is missing or malformed is named before anything is signed', async (t) => {
  const { optionsWith, home } = await placeFor(t);
  await createKeep(optionsWith({}));
  const path = join(home, 'witnesses.policy');
  const opening = () => openKeep(optionsWith({ 'audit.witness.policy': path }));
  const named = (problem: (typeof witnessProblems)[keyof typeof witnessProblems], detail: string) => {
    return (error: unknown): boolean => {
      assert.ok(isProblem(error, problem), String(error));
      assert.equal(error.detail, `${path}: ${detail}`);
      return true;
    };
  };
  const { witness_policy_unreadable: unreadable, witness_policy: malformed } = witnessProblems;
  await assert.rejects(opening(), named(unreadable, 'there is no such file'));
  await writeFile(path, 'quorum none\nquorum none\n');
  await assert.rejects(opening(), named(malformed, 'line 2: there is a quorum line already'));
  await writeFile(path, 'quorum none');
  await assert.rejects(opening(), named(malformed, 'line 1: the last line does not end in a newline'));
  await writeFile(path, 'quorum none\n');
  await (await opening())[Symbol.asyncDispose]();
});
