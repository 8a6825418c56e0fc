import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createLog } from '../../kernel/log.ts';
import { createDeliveryHarness, reached, upTo } from './delivery.harness.ts';
import { SinkRefusal } from './sink/sink.ts';
import { createFakeSink } from './testing.ts';

describe('delivery', () => {
  it('is not stopped by an entry that a sink can never take, and says which', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a', { eventBytesMax: 2000 });
    const lines: string[] = [];
    const log = createLog({ write: (line) => lines.push(line), clock: pacing.clock });
    sink.behave = ({ items }) => {
      if (items.some(({ event }) => event.index === 6)) throw new SinkRefusal('the receiver answered 400');
      return 0;
    };
    const render = sink.render.bind(sink);
    sink.render = (event) => {
      if (event.index === 8) throw new RangeError('a strange entry');
      return render(event);
    };
    source.grow(10, (index) => (index === 3 ? { detail: { long: 'x'.repeat(4000) } } : {}));
    const delivery = start([sink], { log });
    await pacing.until(reached(delivery, 10));
    assert.deepEqual(sink.taken(), [0, 1, 2, 4, 5, 7, 9]);
    const [status] = delivery.status();
    assert.equal(status?.deadLetters, 3);
    assert.deepEqual(
      status.lastDeadLetters.map(({ index }) => index),
      [3, 6, 8],
    );
    assert.equal(lines.filter((line) => line.includes('audit.sink_dead_letter')).length, 3);
  });

  it('does not throw the log away at a receiver that refuses everything', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a', { eventsMax: 1 });
    sink.behave = () => {
      throw new SinkRefusal('the receiver answered 400');
    };
    source.grow(100);
    const delivery = start([sink]);
    await pacing.until(() => pacing.waits.length > 20);
    assert.equal(delivery.status()[0]?.deadLetters, 16);
    sink.behave = () => 0;
    await pacing.until(reached(delivery, 100));
    assert.deepEqual(
      sink.taken().filter((index) => index >= 0),
      upTo(100).slice(16),
    );
  });

  it('counts what a receiver dropped without saying which', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    sink.behave = ({ items }) => (items.length > 1 ? 2 : 0);
    source.grow(5);
    const delivery = start([sink]);
    await pacing.until(reached(delivery, 5));
    assert.equal(delivery.status()[0]?.deadLetters, 2);
    assert.match(delivery.status()[0]?.lastDeadLetters[0]?.reason ?? '', /dropped 2 of 5/);
  });
});
