import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createManualClock } from './clock.ts';
import { createLog, silentLog } from './log.ts';

function lines(work: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const written: string[] = [];
  work(createLog({ write: (line) => written.push(line), clock: createManualClock() }));
  assert.ok(written.every((line) => line.endsWith('\n') && line.indexOf('\n') === line.length - 1));
  return written.map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe('the operator log', () => {
  it('writes one JSON line for each event, whatever a field holds', () => {
    const [first, second] = lines((log) => {
      log.info('a.happened', { text: 'two\nlines', count: 1, absent: undefined });
      log.warn('b.happened');
    });
    const time = '2026-01-01T00:00:00.000Z';
    assert.deepEqual(first, { time, level: 'info', event: 'a.happened', text: 'two\nlines', count: 1 });
    assert.deepEqual(second, { time, level: 'warn', event: 'b.happened' });
  });

  it('tells the chain of causes of an error without its stack, and ends on a circular one', () => {
    const inner = new RangeError('inner');
    const outer = new Error('outer', { cause: inner });
    const circular = new Error('circular');
    circular.cause = circular;
    const [chain, circle] = lines((log) => {
      log.error('failed', { error: outer });
      log.error('failed', { error: circular });
    });
    assert.equal(chain?.['error'], 'Error: outer <- RangeError: inner');
    assert.equal(String(circle?.['error']).split(' <- ').length, 8);
  });

  it('has a silent double', () => {
    assert.equal(silentLog.error('nothing'), undefined);
  });
});
