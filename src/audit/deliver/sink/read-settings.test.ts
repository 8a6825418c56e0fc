import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sinksSchema } from '../../../config/audit-sinks.ts';
import { createManualClock } from '../../../kernel/clock.ts';
import { Secret } from '../../../kernel/secret.ts';
import { createSink } from './create-sink.ts';
import { readSettings, type SinkRow } from './read-settings.ts';

const asked: string[] = [];
const source = {
  secret(reference: string) {
    asked.push(reference);
    return new Secret('a secret of twenty-four characters');
  },
  file: (path: string) => `text of ${path}`,
};

const ROWS = [
  { kind: 'webhook', name: 'hook', url: 'https://siem.example/in?x=1', secret: 'env:HOOK' },
  { kind: 'syslog', name: 'syslog', host: 'siem.example', caFile: '/ca.pem', key: 'file:/run/key.pem' },
  { kind: 'otlp', name: 'otel', url: 'http://127.0.0.1:4318/v1/logs', authorization: 'env:OTEL' },
  {
    kind: 'splunk',
    name: 'hec',
    url: 'https://splunk.example:8088/services/collector/event',
    token: 'env:HEC',
  },
  { kind: 'file', name: 'file', path: '/var/log/modelkeep.jsonl' },
];

describe('the sinks of the configuration', () => {
  it('become sinks, with their secrets read where the reference leads', async () => {
    const rows: readonly SinkRow[] = sinksSchema.parse(ROWS);
    const surroundings = { clock: createManualClock(), version: '1', hostname: 'keep', processId: 1 };
    const settings = rows.map((row) => readSettings(row, source));
    assert.deepEqual(asked, ['env:HOOK', 'file:/run/key.pem', 'env:OTEL', 'env:HEC']);
    assert.doesNotMatch(JSON.stringify(settings), /a secret/);
    assert.match(JSON.stringify(settings[1]), /text of \/ca\.pem/);
    const sinks = settings.map((each) => createSink(each, surroundings));
    assert.deepEqual(
      sinks.map(({ kind, name }) => [kind, name]),
      ROWS.map(({ kind, name }) => [kind, name]),
    );
    for (const sink of sinks) await sink.close();
  });

  it('are refused with a secret in the clear, a plain URL, a relative path, a stranger or a name twice', () => {
    const [hook = {}, , , , file = {}] = ROWS;
    const refused = [
      [{ ...hook, secret: 'hunter2-hunter2-hunter2' }],
      [{ ...hook, url: 'http://siem.example/in' }],
      [{ ...hook, url: 'http://127.0.0.1@evil.example/' }],
      [{ ...hook, url: 'https://user:word@siem.example/' }],
      [{ ...hook, name: '../x' }],
      [{ ...hook, retries: 3 }],
      [{ ...file, path: 'log.jsonl' }],
      [{ kind: 'kafka', name: 'k' }],
      [hook, { ...file, name: 'hook' }],
    ];
    for (const rows of refused)
      assert.equal(sinksSchema.safeParse(rows).success, false, JSON.stringify(rows));
  });
});
