import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { createStory } from '../../audit/detect/testing.ts';
import { openAuditLog } from '../../audit/log.ts';
import { createManualClock } from '../../kernel/clock.ts';
import { silentLog } from '../../kernel/log.ts';
import { createContext } from '../context.ts';
import { reportOf } from '../failure.ts';
import { createOutput } from '../output.ts';
import { type Answers, createFakeAccess, createTestIo } from '../testing.ts';
import { addReplayCommand } from './audit-replay.ts';

async function type(line: string, answers: Answers = () => ({ entries: [] })) {
  const io = createTestIo({ environment: { MODELKEEP_HOME: tmpdir() } });
  const access = createFakeAccess(answers);
  const program = new Command('modelkeep').exitOverride().option('--json').option('--home <dir>');
  program.configureOutput({ writeErr: () => {} });
  let code = 0;
  const context = createContext(program, { access, io, exitWith: (given) => (code = given) });
  addReplayCommand(program.command('audit'), context);
  try {
    await program.parseAsync(line.split(' '), { from: 'user' });
  } catch (error) {
    const report = reportOf(error);
    createOutput(io, () => false).fail(report);
    code = report.exitCode;
  }
  return { code, out: io.out(), err: io.err(), calls: access.calls };
}

const attack = () => {
  const story = createStory();
  for (let i = 0; i < 25; i++, story.now += 1000) story.refuse('usr_1', '9.9.9.9', `s${i}`);
  story.succeed('usr_1', '9.9.9.9');
  return story.entries;
};

async function copyOfLog() {
  const directory = await mkdtemp(join(tmpdir(), 'modelkeep-replay-'));
  const log = await openAuditLog({
    directory,
    signingKey: generateKeyPairSync('ed25519').privateKey,
    origin: 'replay.test/audit',
    clock: createManualClock(),
    log: silentLog,
  });
  for (const { entry } of attack()) {
    const { v: _v, id: _id, time: _time, ...draft } = entry;
    await log.append(draft);
  }
  await log.close();
  return { directory, vkey: log.vkey };
}

describe('audit replay', () => {
  it('runs the rules over a verified copy of the log, offline', async () => {
    const { directory, vkey } = await copyOfLog();
    const keyFile = join(directory, 'given.vkey');
    await writeFile(keyFile, vkey);
    const line = `audit replay --dir ${directory} --key-file ${keyFile}`;
    const { code, out, calls } = await type(line);
    assert.equal(code, 0);
    assert.match(out, /^TIME +RULE +NAME +SEVERITY +ABOUT +RESPONSE +EVIDENCE\n/);
    assert.match(out, /A1 +brute-force +high +usr_1 9\.9\.9\.9 +block-pair +0,1,2,/);
    assert.match(out, /A6 +success-after-guessing +critical/);
    assert.deepEqual(calls, []);
    const alone = await type(`${line} --rule A6 --json`);
    const answer = JSON.parse(alone.out) as { entries: number; alerts: { rule: string }[] };
    assert.deepEqual([answer.entries, answer.alerts.map(({ rule }) => rule)], [26, ['A6']]);
    const later = await type(`${line} --from 2030-01-01T00:00:00Z`);
    assert.equal(later.code, 0);
    assert.match(later.out + later.err, /no alert in 26 entries/);
  });

  it('tries other settings', async () => {
    const { directory, vkey } = await copyOfLog();
    const file = join(directory, 'rules.yaml');
    await writeFile(file, 'rules: { A1: { failures: 26 } }');
    const { out } = await type(
      `audit replay --dir ${directory} --key ${vkey} --rules ${file} --rule A1 --json`,
    );
    assert.deepEqual((JSON.parse(out) as { alerts: unknown[] }).alerts, []);
  });

  it('asks a keep for its entries, page by page, and puts them in order', async () => {
    const entries = attack().map(({ index, entry }) => ({ index, leaf: '', entry }));
    const { out, calls } = await type('audit replay --rule A1 --json', ({ query }) =>
      query?.['before'] === undefined
        ? { entries: entries.slice(10).toReversed(), before: 10 }
        : { entries: entries.slice(0, 10).toReversed() },
    );
    assert.equal(calls.length, 2);
    const { alerts } = JSON.parse(out) as { alerts: { at: number }[] };
    assert.deepEqual(
      alerts.map(({ at }) => at),
      [19],
    );
  });

  it('exits with 3 on a copy that does not verify, and with 2 on an unknown rule or a missing key', async () => {
    const { directory } = await copyOfLog();
    const { vkey } = await copyOfLog();
    assert.equal((await type(`audit replay --dir ${directory} --key ${vkey}`)).code, 3);
    assert.equal((await type(`audit replay --dir ${directory}`)).code, 2);
    const unknown = await type('audit replay --rule Z9');
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /there is no rule Z9/);
  });
});
