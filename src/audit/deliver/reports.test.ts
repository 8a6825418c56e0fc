import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Registry } from 'prom-client';
import { createDeliveryHarness, reached, upTo } from './delivery.harness.ts';
import { ORIGIN } from './format/testing.ts';
import { createDeliveryMetrics } from './metrics.ts';
import { SinkRefusal } from './sink/sink.ts';
import { createFakeSink, createMemoryCursors } from './testing.ts';

describe('delivery', () => {
  it('reports a sink that stays behind, once, in the log itself, and when it is back', async (t) => {
    const { pacing, source, appended, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    sink.behave = () => {
      throw new Error('down');
    };
    source.grow(1);
    const delivery = start([sink]);
    await pacing.until(() => pacing.waits.length > 30);
    assert.deepEqual(
      appended.map(({ action, decision, detail }) => [action, decision, detail?.['sink']]),
      [['audit.delivery_lagging', 'error', 'a']],
    );
    sink.behave = () => 0;
    await pacing.until(reached(delivery, 1));
    assert.equal(appended.at(-1)?.action, 'audit.delivery_recovered');
    assert.equal(appended.length, 2);
  });

  it('does not report a sink that catches up with a log that is old', async (t) => {
    const { pacing, source, appended, start } = createDeliveryHarness(t);
    source.grow(50);
    pacing.clock.advance(86_400_000);
    const sink = createFakeSink('a', { eventsMax: 1 });
    await pacing.until(reached(start([sink]), 50));
    assert.deepEqual(appended, []);
  });

  it('sends a signed checkpoint from time to time, and none while nothing happens', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    source.grow(3);
    const delivery = start([sink], { tuning: { checkpointMs: 60_000 } });
    await pacing.until(() => sink.taken().includes(-1));
    const note = sink.batches.at(-1)?.items[0]?.event;
    assert.equal(note?.key, `${ORIGIN}/checkpoint/3`);
    assert.match(String(note?.entry.detail?.['checkpoint']), /^keep\.test\/audit\n3\nroot=\n\n— /);
    const at = pacing.clock.monotonic();
    await pacing.until(() => pacing.clock.monotonic() > at + 600_000);
    assert.deepEqual(sink.taken(), [0, 1, 2, -1]);
    source.grow(1);
    await pacing.until(() => sink.taken().length === 6);
    assert.deepEqual(sink.taken(), [0, 1, 2, -1, 3, -1]);
    assert.equal(delivery.status()[0]?.next, 4);
  });

  it('sends checkpoints to a sink that never comes to rest', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a', { eventsMax: 1 });
    sink.behave = () => {
      pacing.clock.advance(10_000);
      return 0;
    };
    source.grow(40);
    await pacing.until(reached(start([sink], { tuning: { checkpointMs: 60_000, readMax: 1 } }), 40));
    assert.ok(sink.taken().indexOf(-1) < 8);
  });

  it('sends a log that contradicts what was sent from its start, and reports it', async (t) => {
    const { pacing, source, appended, start } = createDeliveryHarness(t);
    const cursors = createMemoryCursors();
    const sink = createFakeSink('a');
    source.grow(8);
    const first = start([sink], { cursors });
    await pacing.until(reached(first, 8));
    await first.close();
    source.shrink(5);
    pacing.clock.advance(1000);
    source.grow(4);
    const second = start([sink], { cursors });
    await pacing.until(reached(second, 9));
    assert.deepEqual(sink.taken().slice(8), upTo(9));
    assert.equal(appended[0]?.action, 'audit.delivery_contradicted');
    assert.equal(appended[0]?.detail?.['next'], 8);
  });

  it('begins at the start of another log', async (t) => {
    const { pacing, source, appended, start } = createDeliveryHarness(t);
    const cursors = createMemoryCursors();
    const sink = createFakeSink('a');
    source.grow(3);
    const first = start([sink], { cursors });
    await pacing.until(reached(first, 3));
    await first.close();
    await pacing.until(reached(start([sink], { cursors, origin: 'other.test/audit' }), 3));
    assert.deepEqual(sink.taken(), [0, 1, 2, 0, 1, 2]);
    assert.equal(sink.batches.at(-1)?.origin, 'other.test/audit');
    assert.deepEqual(appended, []);
  });

  it('measures lag, deliveries, failures and dead letters by sink', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const registry = new Registry();
    const sink = createFakeSink('siem', { eventsMax: 1 });
    let calls = 0;
    sink.behave = ({ items }) => {
      if (++calls === 1) throw new Error('once');
      if (items[0]?.event.index === 1) throw new SinkRefusal('no');
      return 0;
    };
    source.grow(3);
    await pacing.until(reached(start([sink], { metrics: createDeliveryMetrics(registry) }), 3));
    const text = await registry.metrics();
    assert.match(text, /modelkeep_audit_sink_lag_entries\{sink="siem"\} 0/);
    assert.match(text, /modelkeep_audit_sink_lag_seconds\{sink="siem"\} 0/);
    assert.match(text, /modelkeep_audit_sink_events_total\{sink="siem"\} 2/);
    assert.match(text, /modelkeep_audit_sink_failures_total\{sink="siem"\} 1/);
    assert.match(text, /modelkeep_audit_sink_dead_letters_total\{sink="siem"\} 1/);
  });
});
