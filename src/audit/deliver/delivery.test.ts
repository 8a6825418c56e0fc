import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import type { CursorStore } from './cursor-store.ts';
import type { Delivery } from './delivery.ts';
import { createDeliveryHarness, reached, upTo } from './delivery.harness.ts';
import { ORIGIN } from './format/testing.ts';
import { backoffMs } from './pacing.ts';
import { SinkUnavailable } from './sink/sink.ts';
import { createFakeSink, createMemoryCursors } from './testing.ts';

describe('delivery', () => {
  it('sends every entry once, in order, to every sink, and what comes later', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const [a, b] = [createFakeSink('a'), createFakeSink('b', { eventsMax: 3 })];
    source.grow(10);
    const delivery = start([a, b]);
    await pacing.until(reached(delivery, 10));
    source.grow(5);
    await pacing.until(reached(delivery, 15));
    assert.deepEqual(a.taken(), upTo(15));
    assert.deepEqual(b.taken(), upTo(15));
    assert.ok(b.batches.every(({ items }) => items.length <= 3));
    assert.equal(b.batches[0]?.key, `${ORIGIN}/0..2`);
  });

  it('gives way to requests while it makes texts', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    let atAStretch = 0;
    let longest = 0;
    const render = sink.render.bind(sink);
    sink.render = (event) => {
      if (atAStretch++ === 0) setImmediate(() => (atAStretch = 0));
      longest = Math.max(longest, atAStretch);
      return render(event);
    };
    source.grow(300);
    await pacing.until(reached(start([sink]), 300));
    assert.ok(longest > 1 && longest <= 32, String(longest));
  });

  it('keeps a batch within its bytes', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a', { batchBytesMax: 3000 });
    source.grow(20);
    await pacing.until(reached(start([sink]), 20));
    assert.ok(sink.batches.length > 1);
    for (const { items } of sink.batches)
      assert.ok(items.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) <= 3000);
  });

  it('lets one sink be down without the other waiting, and catches up', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const [up, down] = [createFakeSink('up'), createFakeSink('down')];
    down.behave = () => {
      throw new Error('connect ECONNREFUSED');
    };
    source.grow(30);
    const delivery = start([up, down]);
    await pacing.until(() => up.taken().length === 30 && pacing.waits.length > 8);
    const status = delivery.status()[1];
    assert.deepEqual(
      [status?.state, status?.next, status?.lagEntries, status?.failure],
      ['retrying', 0, 30, 'connect ECONNREFUSED'],
    );
    assert.ok((status?.lagMs ?? 0) > 0);
    down.behave = () => 0;
    source.grow(2000);
    await pacing.until(reached(delivery, 2030));
    // Checkpoints came due in between.
    assert.deepEqual(
      down.taken().filter((index) => index >= 0),
      upTo(2030),
    );
    assert.equal(delivery.status()[1]?.failure, undefined);
  });

  it('waits longer after each failure, and as long as the receiver asks', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    const failures = [new Error('x'), new Error('x'), new Error('x'), new SinkUnavailable('busy', 45_000)];
    sink.behave = () => {
      const failure = failures.shift();
      if (failure !== undefined) throw failure;
      return 0;
    };
    source.grow(1);
    await pacing.until(reached(start([sink]), 1));
    assert.deepEqual(pacing.waits.slice(0, 4), [1000, 2000, 4000, 45_000]);
    assert.equal(backoffMs(50, 1), 60_000);
    assert.equal(backoffMs(1, 0), 500);
  });

  it('goes on after a restart where the sink was, and repeats what was under way', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const cursors = createMemoryCursors();
    const sink = createFakeSink('a', { eventsMax: 4 });
    source.grow(10);
    let sent = 0;
    const hanging = Promise.withResolvers<number>();
    sink.behave = () => (++sent <= 2 ? 0 : hanging.promise);
    const first = start([sink], { cursors });
    await pacing.until(() => sent === 3);
    const closed = first.close();
    hanging.reject(new Error('aborted'));
    await closed;
    assert.deepEqual(sink.taken(), upTo(8));
    sink.behave = () => 0;
    await pacing.until(reached(start([sink], { cursors }), 10));
    assert.deepEqual(sink.taken(), upTo(10));
  });

  it('loses nothing, whatever fails and wherever it is stopped', async (t) => {
    const plan = fc.array(fc.constantFrom('take', 'fail', 'lose-answer', 'stop'), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 5 }), async (steps, eventsMax) => {
        const { pacing, source, start } = createDeliveryHarness(t);
        source.grow(12);
        const cursors = createMemoryCursors();
        const sink = createFakeSink('a', { eventsMax });
        const stopping: Promise<void>[] = [];
        let delivery: Delivery;
        sink.behave = (batch) => {
          const step = steps.shift() ?? 'take';
          if (step === 'stop') stopping.push(delivery.close());
          if (step === 'lose-answer' || step === 'stop') sink.batches.push(batch);
          if (step !== 'take') throw new Error('no answer');
          return 0;
        };
        for (let stops = 0; ; stops++) {
          delivery = start([sink], { cursors });
          const isDone = reached(delivery, 12);
          await pacing.until(() => stopping.length > stops || isDone());
          if (stopping.length === stops) break;
          await stopping[stops];
        }
        await delivery.close();
        assert.deepEqual([...new Set(sink.taken())], upTo(12));
      }),
      { numRuns: 25 },
    );
  });

  it('goes on sending while its cursor cannot be written', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const memory = createMemoryCursors();
    const cursors: CursorStore = { ...memory, save: () => Promise.reject(new Error('ENOSPC')) };
    const sink = createFakeSink('a', { eventsMax: 2 });
    source.grow(6);
    await pacing.until(reached(start([sink], { cursors }), 6));
    assert.deepEqual(sink.taken(), upTo(6));
  });

  it('survives a log that cannot be read for a while', async (t) => {
    const { pacing, source, start } = createDeliveryHarness(t);
    const sink = createFakeSink('a');
    source.grow(2);
    let failures = 3;
    const flaky = {
      ...source,
      read: (from: number, limit: number) =>
        failures-- > 0 ? Promise.reject(new Error('EIO')) : source.read(from, limit),
    };
    const delivery = start([sink], { source: flaky });
    await pacing.until(reached(delivery, 2));
    assert.deepEqual(sink.taken(), [0, 1]);
  });
});
