import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createContext } from '../context.ts';
import { EXIT } from '../failure.ts';
import { createProgram, runProgram } from '../program.ts';
import { type Answers, createFakeAccess, createTestIo, type TestIoOptions } from '../testing.ts';
import { addAuditPrivacyCommands } from './audit-privacy.ts';

let home: string;
before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});
after(() => rm(home, { recursive: true }));

async function type(argv: readonly string[], answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const io = createTestIo({ environment: { MODELKEEP_HOME: home }, ...options });
  let exitCode: number = EXIT.ok;
  const program = createProgram(io, '1.2.3');
  const exitWith = (code: number): void => void (exitCode = code);
  const context = createContext(program, { access, io, exitWith });
  addAuditPrivacyCommands(program.command('audit'), context);
  const code = await runProgram(program, io, ['audit', ...argv], () => exitCode);
  const calls = access.calls.map(({ method, path, body }) => [method, path, body]);
  return { code, out: io.out(), err: io.err(), calls };
}

describe('audit months and erase-month', () => {
  it('lists what can be revealed', async () => {
    const { out } = await type(['months'], () => ({ months: [{ month: '2026-10' }, { month: '2026-11' }] }));
    assert.equal(out, 'MONTH\n2026-10\n2026-11\n');
  });

  it('erases one month, after a yes and not without', async () => {
    const yes = await type(['erase-month', '2026-10', '--yes'], () => undefined);
    assert.equal(yes.code, 0);
    assert.match(yes.err, /^erased the addresses of 2026-10/);
    assert.equal(yes.out, '');
    assert.deepEqual(yes.calls, [['DELETE', '/api/v1/audit/months/2026-10', undefined]]);
    const asked = await type(['erase-month', '2026-10'], () => undefined, { answers: [true] });
    assert.equal(asked.calls.length, 1);
    const no = await type(['erase-month', '2026-10'], () => undefined, { answers: [false] });
    assert.deepEqual([no.code === 0, no.calls], [false, []]);
    const silent = await type(['erase-month', '2026-10'], () => undefined);
    assert.deepEqual([silent.code, silent.calls], [EXIT.usage, []]);
  });

  it('takes nothing but a month', async () => {
    for (const month of ['2026-13', '2026-1', '../../x', '2026']) {
      const { code, calls } = await type(['erase-month', month, '--yes'], () => undefined);
      assert.deepEqual([code, calls], [EXIT.usage, []]);
    }
  });
});

describe('audit retention', () => {
  const plan = { policy: 'P1Y', keptFrom: '2025-11', first: 512, below: 800, size: 1000, held: true };

  it('shows the policy and what it would delete, to people and scripts', async () => {
    const { out } = await type(['retention'], () => plan);
    assert.equal(
      out,
      'policy     P1Y: entries are kept from 2025-11 on\n' +
        'entries    512 to 999\n' +
        'deletable  288, but a legal hold stands\n',
    );
  });

  it('deletes only when told to', async () => {
    const { out, err, calls } = await type(['retention', '--apply', '--yes'], () => ({ deleted: 256 }));
    assert.deepEqual([out, err], ['', 'deleted 256 entries\n']);
    assert.deepEqual(calls, [['POST', '/api/v1/audit/retention/apply', undefined]]);
    const silent = await type(['retention', '--apply'], () => ({ deleted: 0 }));
    assert.deepEqual([silent.code, silent.calls], [EXIT.usage, []]);
  });
});

describe('confirmations', () => {
  it('are results for programs, on stdout', async () => {
    const cases = [
      ['erase-month 2026-10 --yes', undefined, { erased: '2026-10' }],
      ['retention --apply --yes', { deleted: 1 }, { deleted: 1 }],
      ['hold lift', undefined, { held: false }],
    ] as const;
    for (const [line, answer, expected] of cases) {
      const { out, err } = await type([...line.split(' '), '--json'], () => answer);
      assert.deepEqual(JSON.parse(out), expected);
      assert.equal(err, '');
    }
  });
});

describe('audit hold', () => {
  const hold = { reason: 'case\u001b[2J 4711', since: '2026-11-20T00:00:00.000Z', by: 'usr_1' };

  it('is set with a reason, shown without what a terminal would act on, and lifted', async () => {
    const set = await type(['hold', 'set', 'case 4711'], () => hold);
    assert.match(set.err, /^a legal hold stands since 2026-11-20T00:00:00Z/);
    assert.deepEqual(set.calls, [['PUT', '/api/v1/audit/hold', { reason: 'case 4711' }]]);
    const shown = await type(['hold', 'show'], () => hold);
    assert.match(shown.out, /^a legal hold stands since 2026-11-20T00:00:00Z, set by usr_1: case/);
    assert.ok(!shown.out.includes('\u001b'));
    const lifted = await type(['hold', 'lift'], () => undefined);
    assert.deepEqual(lifted.calls, [['DELETE', '/api/v1/audit/hold', undefined]]);
    assert.deepEqual([lifted.out, lifted.err], ['', 'the hold is lifted\n']);
  });
});
