import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import type { Verification, VerificationProblem, VerificationProgress } from './audit-log.ts';
import { signCheckpoint } from './checkpoint.ts';
import { createEdge } from './edge.ts';
import { fsckLog } from './fsck.ts';
import { openAuditLog } from './log.ts';
import { createNoteSigner } from './note.ts';
import { encodeTile, parseBundle } from './tile.ts';
import { leafHash, peaks, rootOf } from './tree.ts';
import {
  change,
  type Edit,
  editEntries,
  entryAt,
  flipAt,
  flipInEntry,
  makeSoundLog,
  SIZE,
  type SoundLog,
  UNSEALED,
} from './verify.harness.ts';
import { verifyLog } from './verify.ts';
import { lengthWithoutZeros } from './wal/tail.ts';

let log: SoundLog;
before(async () => {
  log = await makeSoundLog();
});
after(() => log.remove());

const FULL = 'tile/entries/000';
const PARTIAL = 'tile/entries/002.p/8';

type Tampering = (directory: string) => void;

const edited =
  (file: string, edit: Edit): Tampering =>
  (directory) =>
    change(directory, file, edit);

const removed =
  (file: string): Tampering =>
  (directory) =>
    unlinkSync(join(directory, file));

async function firstProblem(tamper: Tampering, vkey = log.signer.vkey): Promise<VerificationProblem> {
  const directory = log.copy();
  tamper(directory);
  const result = await verifyLog(directory, vkey);
  const onThreads = await fsckLog({ directory, keys: vkey, workers: 3 });
  assert.deepEqual(onThreads, result, 'threads find the same');
  assert.equal(result.ok, false);
  const [problem] = result.problems;
  assert.ok(problem);
  return problem;
}

describe('offline verification', () => {
  it('finds a sound copy sound, with or without the files that only the keep needs', async () => {
    const directory = log.copy();
    const seen: number[] = [];
    const whole = await verifyLog(directory, `${log.signer.vkey}\n`, ({ checked }) => seen.push(checked));
    assert.deepEqual(whole, { ok: true, size: SIZE, root: whole.root, unsealed: UNSEALED, problems: [] });
    assert.equal(Buffer.from(whole.root, 'base64').length, 32);
    assert.deepEqual(seen.slice(0, 3), [256, 512, 520]);
    const onThreads: number[] = [];
    const onProgress = ({ checked }: VerificationProgress): void => void onThreads.push(checked);
    assert.deepEqual(await fsckLog({ directory, keys: log.signer.vkey, workers: 3, onProgress }), whole);
    assert.deepEqual(onThreads.slice(-2), [512, 520]);
    for (const file of ['wal', 'state.json', 'vkey']) rmSync(join(directory, file), { recursive: true });
    assert.deepEqual(await verifyLog(directory, log.signer.vkey), { ...whole, unsealed: 0 });
  });

  it('finds an empty log sound', async () => {
    const directory = log.place();
    const options = {
      directory,
      signingKey: log.privateKey,
      origin: log.signer.name,
      clock: createManualClock(),
      log: silentLog,
    };
    await (await openAuditLog(options)).close();
    const result = await verifyLog(directory, log.signer.vkey);
    assert.deepEqual([result.ok, result.size, result.unsealed], [true, 0, 0]);
  });

  it('finds a directory without a checkpoint not verified', async () => {
    const nothing = log.place();
    mkdirSync(nothing);
    const result = await verifyLog(nothing, log.signer.vkey);
    assert.deepEqual([result.ok, result.problems[0]?.kind], [false, 'checkpoint']);
  });

  const matrix: readonly (readonly [string, Tampering, Partial<VerificationProblem>, RegExp])[] = [
    [
      'a flipped byte in entry 12',
      edited(FULL, flipInEntry(12, 30)),
      { kind: 'entry', index: 12 },
      /^entry 12 does not match/,
    ],
    [
      'a flipped byte in the last bundle',
      edited(PARTIAL, flipInEntry(5, 0)),
      { kind: 'entry', index: 517 },
      /^entry 517 does not match/,
    ],
    [
      'a flipped length of entry 12',
      edited(FULL, flipInEntry(12, -1)),
      { kind: 'entry', index: 12 },
      /^entry 12 /,
    ],
    [
      'a length that runs over the end',
      edited(PARTIAL, (b) => {
        b[entryAt(b, 2) - 2] = 0xff;
        return b;
      }),
      { kind: 'entry', index: 514 },
      /^entry 514 is missing or cut short/,
    ],
    [
      'a removed entry',
      edited(
        FULL,
        editEntries((entries) => entries.splice(40, 1)),
      ),
      { kind: 'entry', index: 40 },
      /^entry 40 /,
    ],
    [
      'an inserted entry',
      edited(
        FULL,
        editEntries((entries) => entries.splice(7, 0, Buffer.from('{}'))),
      ),
      { kind: 'entry', index: 7 },
      /^entry 7 /,
    ],
    [
      'an appended entry',
      edited(
        FULL,
        editEntries((entries) => entries.push(Buffer.from('{}'))),
      ),
      { kind: 'entry', index: 256 },
      /^entry 256 should not be in/,
    ],
    [
      'two entries swapped',
      edited(
        FULL,
        editEntries((entries) => entries.splice(20, 2, ...entries.slice(20, 22).toReversed())),
      ),
      { kind: 'entry', index: 20 },
      /^entry 20 /,
    ],
    [
      'a bundle cut short',
      edited(PARTIAL, (b) => b.subarray(0, entryAt(b, 6))),
      { kind: 'entry', index: 518 },
      /^entry 518 is missing or cut short/,
    ],
    [
      'a bundle emptied',
      edited(FULL, () => Buffer.alloc(0)),
      { kind: 'entry', index: 0 },
      /^entry 0 is missing/,
    ],
    ['a bundle removed', removed('tile/entries/001'), { kind: 'entry', index: 256 }, /^entry 256 is missing/],
    [
      'a flipped byte in a level-0 tile',
      edited('tile/0/001', flipAt(33)),
      { kind: 'tile', index: 257 },
      /wrong hash for entry 257; the entry itself is as signed/,
    ],
    [
      'a flipped byte in the last level-0 tile',
      edited('tile/0/002.p/8', flipAt(65)),
      { kind: 'tile', index: 514 },
      /wrong hash for entry 514/,
    ],
    [
      'a flipped byte in a level-1 tile',
      edited('tile/1/000.p/2', flipAt(32)),
      { kind: 'tile', index: 256 },
      /^entries 256 to 511 do not have the hash in tile\/1/,
    ],
    [
      'a tile cut short',
      edited('tile/0/000', (b) => b.subarray(1)),
      { kind: 'tile', index: 0 },
      /missing or has the wrong length/,
    ],
    [
      'a tile removed',
      removed('tile/0/002.p/8'),
      { kind: 'tile', index: 512 },
      /missing or has the wrong length/,
    ],
    [
      'an entry and its tile changed together',
      changeWithTile,
      { kind: 'entry', index: 0 },
      /^entries 0 to 255 do not have the hash/,
    ],
    [
      'an entry and all tiles changed together',
      changeWithAllTiles,
      { kind: 'wal', index: 12 },
      /^entry 12 in wal\/0.seg is not the one that was sealed/,
    ],
    [
      'a flipped byte in the signature',
      edited('checkpoint', flipAt(-20)),
      { kind: 'checkpoint' },
      /signature/,
    ],
    [
      'a flipped byte in the signed size',
      edited('checkpoint', flipAt(17)),
      { kind: 'checkpoint' },
      /signature is wrong/,
    ],
    [
      'a flipped byte in the signed root',
      edited('checkpoint', flipAt(25)),
      { kind: 'checkpoint' },
      /signature is wrong/,
    ],
    ['the checkpoint removed', removed('checkpoint'), { kind: 'checkpoint' }, /there is no checkpoint/],
    [
      'an older state beside a newer checkpoint',
      edited('state.json', oldState),
      { kind: 'state' },
      /state.json signs 0 entries/,
    ],
    [
      'a flipped byte in an unsealed entry',
      edited('wal/0.seg', (b) => flipAt(lengthWithoutZeros(b) - 60)(b)),
      { kind: 'wal', index: SIZE + 2 },
      /^entry 522 is damaged/,
    ],
    [
      'a flipped byte in a sealed entry of the wal',
      edited('wal/0.seg', flipAt(30)),
      { kind: 'wal', index: 0 },
      /^entry 0 is damaged/,
    ],
    [
      'the wal cut below the checkpoint',
      edited('wal/0.seg', (b) => b.subarray(0, 1000)),
      { kind: 'wal' },
      /is missing: wal\/ holds/,
    ],
  ];
  for (const [name, tamper, expected, message] of matrix) {
    it(`names the first bad entry for ${name}`, async () => {
      const problem = await firstProblem(tamper);
      assert.equal(problem.kind, expected.kind, problem.message);
      if (expected.index !== undefined) assert.equal(problem.index, expected.index, problem.message);
      assert.match(problem.message, message);
    });
  }

  it('trusts only the key that it was given', async () => {
    const thief = createNoteSigner(log.signer.name, generateKeyPairSync('ed25519').privateKey);
    const resign = (directory: string): void => {
      const note = readFileSync(join(directory, 'checkpoint'), 'utf8');
      const [origin = '', size = '', rootText = ''] = note.split('\n');
      const forged = { origin, size: Number(size), root: Buffer.from(rootText, 'base64') };
      writeFileSync(join(directory, 'checkpoint'), signCheckpoint(forged, thief));
      writeFileSync(join(directory, 'vkey'), `${thief.vkey}\n`);
    };
    assert.match((await firstProblem(resign)).message, /no signature by the key keep\.test\/audit/);
    assert.match((await firstProblem(() => {}, thief.vkey)).message, /no signature by the key/);
    assert.match((await firstProblem(() => {}, 'nonsense')).message, /not a verifier key/);
    assert.match((await firstProblem(() => {}, '')).message, /not a verifier key/);
  });

  it('finds a flipped bit wherever it is, in every file', async () => {
    const files = readdirSync(log.directory, { recursive: true, withFileTypes: true })
      .filter((each) => each.isFile())
      .map((each) => join(each.parentPath, each.name).slice(log.directory.length + 1))
      // The vkey in the copy is not believed, so nothing in it can mislead.
      .filter((file) => file !== 'vkey');
    assert.ok(files.length >= 9);
    let checked = 0;
    for (const file of files) {
      const bytes = readFileSync(join(log.directory, file));
      // Behind its records a segment has room that says nothing.
      const length = file.startsWith('wal') ? lengthWithoutZeros(bytes) : bytes.length;
      const places = new Set([
        0,
        1,
        2,
        length - 1,
        Math.floor(length / 2),
        Math.floor(length / 3),
        (checked * 7919) % length,
      ]);
      for (const at of places) {
        const directory = log.copy();
        change(directory, file, flipAt(at));
        const result: Verification = await verifyLog(directory, log.signer.vkey);
        const isOwner = file === 'state.json' && result.ok;
        assert.ok(!result.ok || (isOwner && isInOwner(at)), `${file} at ${at}`);
        rmSync(directory, { recursive: true });
        checked++;
      }
    }
    assert.ok(checked > 40);
  });
});

/** The part of the state that is not under a signature: it names who may sign next, and proves nothing. */
function isInOwner(at: number): boolean {
  const text = readFileSync(join(log.directory, 'state.json'), 'utf8');
  const note = text.indexOf('"checkpoint"');
  return at < note || at > text.indexOf('"previousSize"');
}

function changeWithTile(directory: string): void {
  change(directory, FULL, flipInEntry(12, 30));
  const leaves = parseBundle(readFileSync(join(directory, FULL))).entries.map(leafHash);
  writeFileSync(join(directory, 'tile/0/000'), encodeTile(leaves));
}

function changeWithAllTiles(directory: string): void {
  changeWithTile(directory);
  const edge = createEdge();
  for (const bundle of [FULL, 'tile/entries/001', PARTIAL]) {
    for (const entry of parseBundle(readFileSync(join(directory, bundle))).entries)
      edge.append(leafHash(entry));
  }
  const [first, second] = edge.partial(1);
  writeFileSync(join(directory, 'tile/1/000.p/2'), encodeTile([first as Uint8Array, second as Uint8Array]));
  assert.equal(edge.size(), SIZE);
  assert.deepEqual(
    Buffer.from(edge.root()),
    Buffer.from(rootOf([...peaks(edge.partial(1)), ...peaks(edge.partial(0))])),
  );
}

function oldState(bytes: Buffer): Buffer {
  const state = JSON.parse(bytes.toString()) as Record<string, unknown>;
  state['checkpoint'] = signCheckpoint(
    { origin: log.signer.name, size: 0, root: createEdge().root() },
    log.signer,
  );
  return Buffer.from(`${JSON.stringify(state, undefined, 2)}\n`);
}
