import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Command } from 'commander';
import { createContext } from '../context.ts';
import { reportOf } from '../failure.ts';
import { type Answers, createFakeAccess, createTestIo, type TestIoOptions } from '../testing.ts';
import { addAuditSearchCommands } from './audit-search.ts';

const row = (index: number, action = 'model.invoke') => ({
  index,
  leaf: 'ab',
  entry: {
    v: 1,
    id: `id-${index}`,
    time: '2026-01-01T00:00:00.250Z',
    phase: 'single',
    action,
    principal: { kind: 'user', id: 'usr_1', name: 'bob' },
    resource: '/projects/default/models/polarity',
    decision: 'deny',
    reason: 'no_matching_binding',
  },
});

async function type(line: readonly string[], answers: Answers, options: TestIoOptions = {}) {
  const io = createTestIo({ environment: { MODELKEEP_HOME: import.meta.dirname }, ...options });
  const access = createFakeAccess(answers);
  const program = new Command().exitOverride();
  program.option('--home <dir>').option('--server <url>').option('--json');
  const context = createContext(program, { access, io, exitWith: () => {} });
  addAuditSearchCommands(program.command('audit'), context);
  try {
    await program.parseAsync(['audit', ...line], { from: 'user' });
    return { message: '', out: io.out(), err: io.err(), calls: access.calls };
  } catch (error) {
    return { ...reportOf(error), out: io.out(), err: io.err(), calls: access.calls };
  }
}

describe('audit search', () => {
  it('prints entries as a table, and where older ones are', async () => {
    const line = ['search', '--principal', 'bob', '--from', '24h', '--limit', '2'];
    const { out, err, calls } = await type(line, () => ({ entries: [row(9), row(7)], before: 7 }));
    assert.deepEqual(calls[0]?.query, { principal: 'bob', from: '2025-12-31T00:00:00.000Z', limit: '2' });
    assert.match(
      out,
      /^INDEX  TIME +PRINCIPAL  ACTION +DECISION  REASON +RESOURCE\n +9  2026-01-01T00:00:00Z  bob/,
    );
    assert.equal(err, 'modelkeep: hint: older entries: --before 7\n');
  });

  it('passes every filter, and the words as one text', async () => {
    const filters = ['credential', 'action', 'resource', 'reason', 'source', 'request'];
    const line = ['search', 'rotated', 'widget', '--decision', 'deny'];
    const { calls } = await type(
      [...line, ...filters.flatMap((name) => [`--${name}`, `the ${name}`])],
      () => ({
        entries: [],
      }),
    );
    assert.deepEqual(calls[0]?.query, {
      q: 'rotated widget',
      decision: 'deny',
      limit: '50',
      ...Object.fromEntries(filters.map((name) => [name, `the ${name}`])),
    });
  });

  it('goes on over pages that hold no match', async () => {
    const { out, calls } = await type(['search', '--json'], ({ query }) =>
      query?.['before'] === undefined ? { entries: [], before: 500 } : { entries: [row(3)] },
    );
    assert.deepEqual(JSON.parse(out), { entries: [row(3)] });
    assert.equal(calls[1]?.query?.['before'], '500');
  });

  it('does not let an entry steer the terminal', async () => {
    const { out } = await type(['search'], () => ({
      entries: [row(1, 'x\u001b]0;owned\u0007\u001b[31m\nforged')],
    }));
    // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f]/);
    assert.equal(out.split('\n').length, 3);
  });
});

describe('audit tail', () => {
  it('prints the oldest entry first, one a line', async () => {
    const { out } = await type(['tail', '-n', '2'], () => ({ entries: [row(2), row(1)] }));
    assert.equal(
      out.split('\n')[0],
      '1  2026-01-01T00:00:00Z  bob  model.invoke  /projects/default/models/polarity  deny: no_matching_binding',
    );
  });

  it('follows what the filters let through, without gaps, repeats or its own questions', async () => {
    const interruption = new AbortController();
    const log = ['model.invoke', 'user.list'];
    const answer: Answers = ({ query }) => {
      assert.equal(query?.['decision'], 'deny');
      const after = Number(query['after'] ?? -1);
      const entries = [...log.keys()].filter((index) => index > after).map((index) => row(index, log[index]));
      log.push('audit.search');
      return { entries: entries.toReversed() };
    };
    const { out } = await type(['tail', '--follow', '--json', '--decision', 'deny'], answer, {
      interrupted: interruption.signal,
      wait: () => {
        log.push('model.invoke', 'model.list');
        if (log.length > 10) interruption.abort();
        return Promise.resolve();
      },
    });
    const indices = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { index: number }).index);
    assert.deepEqual(indices, [0, 1, 3, 4, 6, 7]);
  });
});

describe('audit stats', () => {
  const stats = {
    from: '2026-01-01T00:00:00.000Z',
    to: '2026-01-01T03:00:00.000Z',
    total: 105,
    series: [
      { start: '2026-01-01T00:00:00.000Z', key: 'allow', count: 80 },
      { start: '2026-01-01T02:00:00.000Z', key: 'allow', count: 24 },
      { start: '2026-01-01T02:00:00.000Z', key: 'deny', count: 1 },
    ],
    isCut: false,
    actions: [{ name: 'model.invoke', count: 105 }],
    reasons: [],
    principals: [
      { kind: 'user', id: 'usr_1', name: 'bob', count: 104 },
      { kind: 'anonymous', count: 1 },
    ],
    resources: [],
    indexed: 105,
    size: 105,
  };

  it('draws a line for each hour, in marks that need no colour, and the most frequent names', async () => {
    const { out, err, calls } = await type(['stats', '--decision', 'deny'], () => stats);
    assert.deepEqual(calls[0]?.query, {
      from: '2025-12-31T00:00:00.000Z',
      by: 'hour',
      split: 'decision',
      decision: 'deny',
      top: '5',
    });
    assert.equal(
      out,
      [
        '105 entries from 2026-01-01T00:00:00Z to 2026-01-01T03:00:00Z',
        '',
        `2026-01-01T00:00Z  80  ${'█'.repeat(40)}`,
        `2026-01-01T02:00Z  25  ${'█'.repeat(12)}▒`,
        '█ allow  ▒ deny',
        '',
        'COUNT  PRINCIPAL',
        '  104  bob',
        '    1  anonymous',
        '',
        'COUNT  ACTION',
        '  105  model.invoke',
        '',
      ].join('\n'),
    );
    assert.equal(err, '');
  });

  it('fits a narrow terminal, and gives programs the answer as it came', async () => {
    const { out } = await type(['stats'], () => stats, { columns: 40 });
    const chart = out.split('\n').filter((line) => line.includes('█'));
    assert.equal(chart[0], `2026-01-01T00:00Z  80  ${'█'.repeat(17)}`);
    assert.ok(
      chart.every((line) => line.length <= 40),
      out,
    );
    const json = await type(['stats', '--json'], () => stats);
    assert.deepEqual(JSON.parse(json.out), stats);
  });

  it('says what is not counted yet, and when there is nothing', async () => {
    const { err } = await type(['stats'], () => ({ ...stats, indexed: 90 }));
    assert.equal(err, 'modelkeep: hint: the index is being built: 90 of 105 entries are counted\n');
    const none = {
      total: 0,
      series: [],
      actions: [],
      reasons: [],
      principals: [],
      resources: [],
      indexed: 0,
      size: 0,
    };
    assert.equal((await type(['stats'], () => none)).out, 'nothing is recorded in this time\n');
  });

  it('refuses what is not a time or a unit', async () => {
    assert.match((await type(['stats', '--from', 'yesterday'], () => stats)).message, /not a time/);
    assert.notEqual((await type(['stats', '--by', 'minute'], () => stats)).message, '');
  });
});
