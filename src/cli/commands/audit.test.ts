import assert from 'node:assert/strict';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { type Answers, createFakeAccess, runCli, type TestIoOptions } from '../testing.ts';

const row = (index: number) => ({
  index,
  leaf: 'ab',
  entry: {
    v: 1,
    id: `id-${index}`,
    time: '2026-01-01T00:00:00.250Z',
    phase: 'single',
    action: 'model.invoke',
    principal: { kind: 'user', id: 'usr_1', name: 'bob' },
    resource: '/projects/default/models/polarity',
    decision: 'deny',
    reason: 'no_matching_binding',
  },
});

const rowOf = (index: number, action = '') => ({ ...row(index), entry: { ...row(index).entry, action } });

let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});

async function type(line: string, answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const outcome = await runCli(line.split(' '), access, {
    environment: { MODELKEEP_HOME: home },
    ...options,
  });
  return { ...outcome, calls: access.calls };
}

describe('audit search', () => {
  it('prints entries as a table, and where older ones are', async () => {
    const { out, err, calls } = await type('audit search --principal bob --from 24h --limit 2', () => ({
      entries: [row(9), row(7)],
      before: 7,
    }));
    assert.deepEqual(calls[0]?.query, { principal: 'bob', from: '2025-12-31T00:00:00.000Z', limit: '2' });
    assert.match(
      out,
      /^INDEX  TIME +PRINCIPAL  ACTION +DECISION  REASON +RESOURCE\n +9  2026-01-01T00:00:00Z  bob/,
    );
    assert.equal(err, 'modelkeep: hint: older entries: --before 7\n');
  });

  it('goes on over pages that hold no match', async () => {
    const { out, calls } = await type('audit search --json', ({ query }) =>
      query?.['before'] === undefined ? { entries: [], before: 500 } : { entries: [row(3)] },
    );
    assert.deepEqual(JSON.parse(out), { entries: [row(3)] });
    assert.equal(calls[1]?.query?.['before'], '500');
  });
});

describe('audit tail', () => {
  it('prints the oldest entry first, one a line', async () => {
    const { out } = await type('audit tail -n 2', () => ({ entries: [row(2), row(1)] }));
    assert.equal(
      out.split('\n')[0],
      '1  2026-01-01T00:00:00Z  bob  model.invoke  /projects/default/models/polarity  deny: no_matching_binding',
    );
    const json = await type('audit tail --json', () => ({ entries: [row(2), row(1)] }));
    assert.deepEqual(
      json.out
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { index: number }).index),
      [1, 2],
    );
  });

  it('follows the log without gaps, repeats or its own questions, until it is interrupted', async () => {
    const interruption = new AbortController();
    const log = ['model.invoke', 'user.list'];
    const answer: Answers = ({ query }) => {
      const after = Number(query?.['after'] ?? -1);
      const entries = [...log.keys()]
        .filter((index) => index > after)
        .map((index) => rowOf(index, log[index]));
      log.push('audit.search');
      return { entries: entries.toReversed() };
    };
    const { code, out } = await type('audit tail -n 10 --follow --json', answer, {
      interrupted: interruption.signal,
      wait: () => {
        log.push('model.invoke', 'model.list');
        if (log.length > 10) interruption.abort();
        return Promise.resolve();
      },
    });
    assert.equal(code, 0);
    const indexes = out
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { index: number }).index);
    assert.deepEqual(indexes, [0, 1, 3, 4, 6, 7]);
  });
});

describe('audit verify', () => {
  it('exits with 0 when the log holds and 3 when it does not', async () => {
    const good = await type('audit verify', () => ({
      ok: true,
      size: 12,
      root: '',
      unsealed: 0,
      problems: [],
    }));
    assert.equal(good.code, 0);
    assert.equal(good.out, '✓ verified 12 entries\n');
    const problems = [
      { kind: 'entry', index: 7, file: 'x', message: 'entry 7 does not match its leaf hash' },
    ];
    const bad = await type('audit verify', () => ({ ok: false, size: 12, root: '', unsealed: 0, problems }));
    assert.equal(bad.code, 3);
    assert.equal(bad.out, '✗ not verified\nentry 7 does not match its leaf hash\n');
  });

  it('checks a copy offline, without opening the keep', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'modelkeep-log-'));
    const keyFile = join(home, 'vkey');
    await writeFile(keyFile, 'not a key\n');
    const { code, out, calls } = await type(`audit verify ${directory} --key-file ${keyFile} --json`, () =>
      assert.fail('no request is needed'),
    );
    assert.equal(code, 3);
    assert.equal((JSON.parse(out) as { ok: boolean }).ok, false);
    assert.deepEqual(calls, []);
  });

  it('prints the verifier key alone', async () => {
    assert.equal((await type('audit vkey', () => ({ vkey: 'keep+1234+AbC' }))).out, 'keep+1234+AbC\n');
  });
});
