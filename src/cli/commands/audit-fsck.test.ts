import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { draft } from '../../audit/audit-log.contract.ts';
import { openAuditLog } from '../../audit/log.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { createCli } from '../cli.ts';
import { createFakeAccess, createTestIo } from '../testing.ts';

let root: string;
let directory: string;
let oldKey: string;
let newKey: string;

before(async () => {
  root = await mkdtemp(join(tmpdir(), 'modelkeep-fsck-cli-'));
  directory = join(root, 'log');
  const keys = [
    generateKeyPairSync('ed25519').privateKey,
    generateKeyPairSync('ed25519').privateKey,
  ] as const;
  const options = { directory, origin: 'keep.test/audit', clock: createManualClock(), log: silentLog };
  const before = await openAuditLog({ ...options, signingKey: keys[0] });
  await Promise.all(Array.from({ length: 600 }, () => before.append(draft())));
  await before.close();
  const log = await openAuditLog({ ...options, signingKey: keys[1], previousKeys: [keys[0]] });
  await log.close();
  [oldKey, newKey] = [before.vkey, log.vkey];
});
after(() => rm(root, { recursive: true }));

async function type(argv: readonly string[], stderrIsTerminal = false) {
  const access = createFakeAccess(() => assert.fail('no request is needed'));
  const io = { ...createTestIo({ environment: { MODELKEEP_HOME: root } }), stderrIsTerminal };
  const code = await createCli({ access, io, version: '1.2.3' }).run(argv);
  return { code, out: io.out(), err: io.err() };
}

describe('audit fsck', () => {
  it('checks a bare copy offline, and tells of the key to trust from now on', async () => {
    const { code, out, err } = await type(['audit', 'fsck', directory, '--key', newKey, '--key', oldKey]);
    assert.deepEqual([code, out, err], [0, '✓ verified 601 entries in 0.0 s\n', '']);
    const learned = await type(['audit', 'fsck', directory, '--key', oldKey]);
    assert.equal(learned.code, 0);
    assert.match(learned.out, /trust from now on:\n/);
    assert.ok(learned.out.endsWith(`  ${newKey}\n`));
  });

  it('shows on a terminal how far it is', async () => {
    const { err } = await type(['audit', 'fsck', directory, '--key-file', join(directory, 'vkey')], true);
    assert.match(err, /checked 601 of 601 entries, 100 %/);
    assert.ok(err.endsWith('\r\u001b[K'));
  });

  it('names the first bad entry and exits with 3, and with 2 if no key was given', async () => {
    const copy = join(root, 'copy');
    await cp(directory, copy, { recursive: true });
    const bundle = join(copy, 'tile/entries/001');
    const bytes = await readFile(bundle);
    bytes[40] = (bytes[40] ?? 0) ^ 1;
    await writeFile(bundle, bytes);
    const { code, out } = await type(['audit', 'fsck', copy, '--key', newKey]);
    assert.deepEqual([code, out], [3, '✗ not verified\nentry 256 does not match its leaf hash\n']);
    assert.equal((await type(['audit', 'fsck', copy])).code, 2);
    assert.equal((await type(['audit', 'fsck', copy, '--key', 'nonsense'])).code, 3);
  });
});

describe('audit verify', () => {
  it('takes several keys, and a file of several', async () => {
    for (const keys of [
      ['--key', oldKey, '--key', newKey],
      ['--key-file', join(directory, 'vkey')],
      ['--key', newKey],
    ]) {
      const { code, out } = await type(['audit', 'verify', directory, ...keys]);
      assert.deepEqual([code, out], [0, '✓ verified 601 entries\n']);
    }
  });
});
