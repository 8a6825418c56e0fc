import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { draft } from './audit-log.contract.ts';
import { signCheckpoint } from './checkpoint.ts';
import { fsckLog } from './fsck.ts';
import { openAuditLog } from './log.ts';
import { createNoteSigner } from './note.ts';
import { verifyLog } from './verify.ts';
import { keyRotationDraft } from './witness/key-rotation.ts';
import { type Policy, parsePolicy } from './witness/policy.ts';
import { cosignerOf, signerOf } from './witness/testing.ts';

/** The kinds of damage are in verify.test.ts, each with threads and without. */

const SIZE = 3000;
const PUBLISHED = 1000;
const root = mkdtempSync(join(tmpdir(), 'modelkeep-fsck-'));
const sound = join(root, 'sound');
const { privateKey } = generateKeyPairSync('ed25519');
const signer = createNoteSigner('keep.test/audit', privateKey);
const next = signerOf('keep.test/audit');
const witness = cosignerOf('witness.test/w');
let count = 0;
let older: string;

before(async () => {
  const directory = join(root, 'log');
  const clock = createManualClock();
  const log = await openAuditLog({
    directory,
    signingKey: privateKey,
    origin: signer.name,
    clock,
    log: silentLog,
    tuning: { sealMs: 60_000 },
  });
  const append = (from: number, to: number): Promise<unknown> =>
    Promise.all(Array.from({ length: to - from }, (_, at) => log.append(draft({ latencyUs: from + at }))));
  await append(0, PUBLISHED - 1);
  const overlapUntil = clock.now() + 1000;
  await log.append(keyRotationDraft({ from: signer.vkey, to: next.vkey, overlapUntil }));
  older = await log.checkpoint();
  await append(PUBLISHED, SIZE);
  await log.close();
  cpSync(directory, sound, { recursive: true });
});
after(() => rmSync(root, { recursive: true }));

const copy = (): string => {
  const directory = join(root, `copy-${count++}`);
  cpSync(sound, directory, { recursive: true });
  return directory;
};

const flip = (directory: string, file: string, at: number): void => {
  const path = join(directory, file);
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  writeFileSync(path, bytes);
};

const policyOf = (...more: readonly string[]): Policy =>
  parsePolicy(Buffer.from([...more, `witness w ${witness.vkey}`, 'quorum w', ''].join('\n')));

describe('the check on all cores', () => {
  it('says what the check on one says, with any number of threads', async () => {
    const expected = await verifyLog(sound, signer.vkey);
    assert.deepEqual([expected.ok, expected.size, expected.successors], [true, SIZE, [next.vkey]]);
    for (const workers of [1, 2, 5, 64])
      assert.deepEqual(await fsckLog({ directory: sound, keys: signer.vkey, workers }), expected);
  });

  it('names the first bad entry of several that different threads would find', async () => {
    const directory = copy();
    for (const place of [9, 4, 2]) flip(directory, `tile/entries/00${place}`, 5000);
    flip(directory, 'tile/0/007', 40);
    const expected = await verifyLog(directory, signer.vkey);
    assert.deepEqual(
      expected.problems.map(({ file }) => file),
      ['tile/entries/002', 'tile/entries/004', 'tile/0/007', 'wal/0.seg', 'tile/entries/009'],
    );
    for (const workers of [2, 4])
      assert.deepEqual(await fsckLog({ directory, keys: signer.vkey, workers }), expected);
  });

  it('checks a published checkpoint that ends inside of a block, beside a newer state', async () => {
    const directory = copy();
    writeFileSync(join(directory, 'checkpoint'), older);
    const options = { directory, keys: signer.vkey, workers: 3 };
    assert.deepEqual([(await fsckLog(options)).ok, (await fsckLog(options)).size], [true, SIZE]);
    const forged = { origin: signer.name, size: PUBLISHED, root: new Uint8Array(32) };
    writeFileSync(join(directory, 'checkpoint'), signCheckpoint(forged, signer));
    const { problems } = await fsckLog(options);
    assert.match(problems[0]?.message ?? '', /checkpoint of 1000 entries is not consistent/);
  });

  it('asks for the witnesses of a policy, and that what they cosigned is this log', async () => {
    const directory = copy();
    const check = (policy = policyOf()) => fsckLog({ directory, keys: signer.vkey, policy, workers: 3 });
    const messageOf = async (policy?: Policy): Promise<string> => {
      const { ok, problems, successors } = await check(policy);
      assert.deepEqual([ok, successors], [false, undefined]);
      return problems.at(-1)?.message ?? '';
    };
    assert.match(await messageOf(), /no quorum of witnesses/);
    const cosign = (note: string): void => {
      const [text = ''] = note.split('\n\n');
      writeFileSync(join(directory, 'checkpoint.cosigned'), `${note}${witness.cosign(`${text}\n`, 1)}\n`);
    };
    cosign(older);
    assert.equal((await check()).ok, true);
    assert.equal((await check(policyOf(`log ${next.vkey}`))).ok, true);
    cosign(signCheckpoint({ origin: signer.name, size: PUBLISHED, root: new Uint8Array(32) }, signer));
    assert.match(await messageOf(), /checkpoint of 1000 entries is not consistent/);
    cosign(signCheckpoint({ origin: signer.name, size: SIZE + 1, root: new Uint8Array(32) }, signer));
    assert.match(await messageOf(), /cosigned 3001 entries, of which this copy signs 3000/);
  });

  it('verifies nothing with a key that is none', async () => {
    const result = await fsckLog({ directory: sound, keys: 'nonsense' });
    assert.deepEqual([result.ok, result.problems[0]?.message], [false, 'this is not a verifier key']);
  });
});
