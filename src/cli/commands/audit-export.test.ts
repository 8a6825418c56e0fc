import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { Command } from 'commander';
import { openAuditLog } from '../../audit/log.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { createContext } from '../context.ts';
import { reportOf } from '../failure.ts';
import { type Answers, createFakeAccess, createTestIo } from '../testing.ts';
import { addAuditExport } from './audit-export.ts';

let directory: string;
let log: string;
let vkey: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-export-'));
  log = join(directory, 'log');
  const signingKey = generateKeyPairSync('ed25519').privateKey;
  const options = { signingKey, origin: 'keep.test/audit', log: silentLog };
  const clock = createManualClock(Date.UTC(2026, 0, 1));
  const audit = await openAuditLog({ directory: log, clock, ...options });
  for (let n = 0; n < 3; n++) {
    await audit.append({
      phase: 'single',
      action: 'test.run',
      principal: { kind: 'user', id: 'usr_1', name: 'ada' },
      decision: 'allow',
      reason: 'allowed',
    });
    clock.advance(3_600_000);
  }
  ({ vkey } = audit);
  await audit.close();
});
after(() => rm(directory, { recursive: true }));

async function type(line: readonly string[], answers: Answers = () => assert.fail('nobody was to be asked')) {
  const io = createTestIo({ environment: { MODELKEEP_HOME: directory } });
  const access = createFakeAccess(answers);
  const program = new Command().exitOverride();
  program.option('--home <dir>').option('--server <url>').option('--json');
  const context = createContext(program, { access, io, exitWith: () => {} });
  addAuditExport(program.command('audit'), context, '0.1.0');
  try {
    await program.parseAsync(['audit', 'export', ...line], { from: 'user' });
    return { exitCode: 0, message: '', out: io.out(), err: io.err(), calls: access.calls };
  } catch (error) {
    return { ...reportOf(error), out: io.out(), err: io.err(), calls: access.calls };
  }
}

describe('audit export', () => {
  it('asks the keep page by page and prints lines', async () => {
    const pages = [
      { lines: ['CEF:0|a', 'CEF:0|b'], next: 1000 },
      { lines: [], next: 2000 },
      { lines: ['CEF:0|c'] },
    ];
    const { out, calls } = await type(['--format', 'cef', '--from', '24h'], () => pages.shift());
    assert.equal(out, 'CEF:0|a\nCEF:0|b\nCEF:0|c\n');
    assert.deepEqual(
      calls.map(({ query }) => query?.['start']),
      ['0', '1000', '2000'],
    );
    assert.deepEqual(
      [calls[0]?.query?.['format'], calls[0]?.query?.['from']],
      ['cef', '2025-12-31T00:00:00.000Z'],
    );
  });

  it('writes a new file, and never over one', async () => {
    const file = join(directory, 'out.jsonl');
    const { err } = await type(['--output', file], () => ({ lines: ['{"index":0}'] }));
    assert.equal(await readFile(file, 'utf8'), '{"index":0}\n');
    assert.match(err, /^1 entry is in /);
    const again = await type(['--output', file], () => ({ lines: ['{"index":1}'] }));
    assert.match(again.message, /already exists/);
    assert.equal(await readFile(file, 'utf8'), '{"index":0}\n');
  });

  it('reads a verified copy offline, within a range of time', async () => {
    const { out } = await type([
      '--dir',
      log,
      '--key',
      vkey,
      '--format',
      'ocsf',
      '--from',
      '2026-01-01T00:30:00Z',
    ]);
    const events = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { metadata: { sequence: number; log_name: string }; time: number });
    assert.deepEqual(
      events.map(({ metadata, time }) => [metadata.sequence, metadata.log_name, time]),
      [
        [1, 'keep.test/audit', Date.UTC(2026, 0, 1, 1)],
        [2, 'keep.test/audit', Date.UTC(2026, 0, 1, 2)],
      ],
    );
  });

  it('writes nothing of a copy that was changed, and exits with 3', async () => {
    const copy = join(directory, 'copy');
    await cp(log, copy, { recursive: true });
    const bundle = join(copy, 'tile/entries/000.p/3');
    const bytes = await readFile(bundle, 'latin1');
    await writeFile(bundle, bytes.replace('"ada"', '"eve"'), 'latin1');
    const file = join(directory, 'changed.jsonl');
    const { exitCode, message, out } = await type(['--dir', copy, '--key', vkey, '--output', file]);
    assert.equal(exitCode, 3);
    assert.match(message, /entry 0/);
    assert.equal(out, '');
    await assert.rejects(stat(file), { code: 'ENOENT' });
  });

  it('wants the key with a copy, and a copy with the key', async () => {
    for (const line of [
      ['--dir', log],
      ['--key', vkey],
      ['--dir', log, '--key', 'nonsense'],
    ])
      assert.equal((await type(line)).exitCode, 2, line.join(' '));
  });
});
