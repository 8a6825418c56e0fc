import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { Registry } from 'prom-client';
import { createManualClock } from '../../kernel/clock.ts';
import { createLog, silentLog } from '../../kernel/log.ts';
import type { EntryDraft } from '../entry.ts';
import { type CursorStore, createFileCursors } from './cursor-store.ts';
import { type Delivery, type DeliveryOptions, startDelivery } from './delivery.ts';
import { ORIGIN } from './format/testing.ts';
import { createDeliveryMetrics } from './metrics.ts';
import { backoffMs } from './pacing.ts';
import { SinkRefusal, SinkUnavailable } from './sink/sink.ts';
import {
  createFakeSink,
  createManualPacing,
  createMemoryCursors,
  createMemorySource,
  type FakeSink,
} from './testing.ts';

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index);

let pacing = createManualPacing();
let source = createMemorySource(pacing.clock);
let appended: EntryDraft[] = [];
let running: Delivery[] = [];

beforeEach(() => {
  pacing = createManualPacing(createManualClock());
  source = createMemorySource(pacing.clock);
  appended = [];
  running = [];
});
afterEach(() => Promise.all(running.map((delivery) => delivery.close())));

function start(sinks: readonly FakeSink[], options: Partial<DeliveryOptions> = {}): Delivery {
  const delivery = startDelivery({
    source,
    sinks,
    cursors: createMemoryCursors(),
    origin: ORIGIN,
    checkpoint: async () => `${ORIGIN}\n${source.size()}\nroot=\n\n— ${ORIGIN} sig=\n`,
    append: async (draft) => void appended.push(draft),
    clock: pacing.clock,
    log: silentLog,
    pacing,
    ...options,
  });
  running.push(delivery);
  return delivery;
}

const reached = (delivery: Delivery, next: number): (() => boolean) => {
  return () => delivery.status().every((status) => status.next === next && status.state === 'idle');
};

describe('delivery', () => {
  it('sends every entry once, in order, to every sink, and what comes later', async () => {
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

  it('gives way to requests while it makes texts', async () => {
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

  it('keeps a batch within its bytes', async () => {
    const sink = createFakeSink('a', { batchBytesMax: 3000 });
    source.grow(20);
    await pacing.until(reached(start([sink]), 20));
    assert.ok(sink.batches.length > 1);
    for (const { items } of sink.batches)
      assert.ok(items.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0) <= 3000);
  });

  it('lets one sink be down without the other waiting, and catches up', async () => {
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

  it('waits longer after each failure, and as long as the receiver asks', async () => {
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

  it('goes on after a restart where the sink was, and repeats what was under way', async () => {
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

  it('loses nothing, whatever fails and wherever it is stopped', async () => {
    const plan = fc.array(fc.constantFrom('take', 'fail', 'lose-answer', 'stop'), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(plan, fc.integer({ min: 1, max: 5 }), async (steps, eventsMax) => {
        pacing = createManualPacing(createManualClock());
        source = createMemorySource(pacing.clock);
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

  it('is not stopped by an entry that a sink can never take, and says which', async () => {
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

  it('does not throw the log away at a receiver that refuses everything', async () => {
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

  it('counts what a receiver dropped without saying which', async () => {
    const sink = createFakeSink('a');
    sink.behave = ({ items }) => (items.length > 1 ? 2 : 0);
    source.grow(5);
    const delivery = start([sink]);
    await pacing.until(reached(delivery, 5));
    assert.equal(delivery.status()[0]?.deadLetters, 2);
    assert.match(delivery.status()[0]?.lastDeadLetters[0]?.reason ?? '', /dropped 2 of 5/);
  });

  it('reports a sink that stays behind, once, in the log itself, and when it is back', async () => {
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

  it('does not report a sink that catches up with a log that is old', async () => {
    source.grow(50);
    pacing.clock.advance(86_400_000);
    const sink = createFakeSink('a', { eventsMax: 1 });
    await pacing.until(reached(start([sink]), 50));
    assert.deepEqual(appended, []);
  });

  it('sends a signed checkpoint from time to time, and none while nothing happens', async () => {
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

  it('sends checkpoints to a sink that never comes to rest', async () => {
    const sink = createFakeSink('a', { eventsMax: 1 });
    sink.behave = () => {
      pacing.clock.advance(10_000);
      return 0;
    };
    source.grow(40);
    await pacing.until(reached(start([sink], { tuning: { checkpointMs: 60_000, readMax: 1 } }), 40));
    assert.ok(sink.taken().indexOf(-1) < 8);
  });

  it('sends a log that contradicts what was sent from its start, and reports it', async () => {
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

  it('begins at the start of another log', async () => {
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

  it('goes on sending while its cursor cannot be written', async () => {
    const memory = createMemoryCursors();
    const cursors: CursorStore = { ...memory, save: () => Promise.reject(new Error('ENOSPC')) };
    const sink = createFakeSink('a', { eventsMax: 2 });
    source.grow(6);
    await pacing.until(reached(start([sink], { cursors }), 6));
    assert.deepEqual(sink.taken(), upTo(6));
  });

  it('survives a log that cannot be read for a while', async () => {
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

  it('measures lag, deliveries, failures and dead letters by sink', async () => {
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

describe('the cursor files', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'modelkeep-cursors-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  const cursor = {
    v: 1,
    origin: ORIGIN,
    next: 3,
    leaf: 'ab'.repeat(32),
    deadLetters: 1,
    lastDeadLetters: [{ index: 2, reason: 'too large' }],
  } as const;

  it('hold what was saved, one file for each sink, for the owner alone', async () => {
    const cursors = createFileCursors(join(directory, 'delivery'));
    assert.equal(await cursors.load('siem'), undefined);
    await cursors.save('siem', cursor);
    await cursors.save('siem', { ...cursor, next: 4 });
    assert.deepEqual(await cursors.load('siem'), { ...cursor, next: 4 });
    assert.deepEqual(await readdir(join(directory, 'delivery')), ['siem.json']);
    assert.equal((await stat(join(directory, 'delivery', 'siem.json'))).mode & 0o777, 0o600);
  });

  it('that are damaged count as none: everything is sent again', async () => {
    const cursors = createFileCursors(directory);
    await cursors.save('siem', cursor);
    const good = await readFile(join(directory, 'siem.json'), 'utf8');
    for (const bad of ['', good.slice(0, 40), good.replace('"next":3', '"next":-3'), '[]', '{}']) {
      await writeFile(join(directory, 'siem.json'), bad);
      assert.equal(await cursors.load('siem'), undefined);
    }
  });

  it('lie nowhere else than in their directory', async () => {
    const cursors = createFileCursors(directory);
    for (const name of ['../x', 'a/b', '', 'A', '.', 'x\0'])
      await assert.rejects(cursors.save(name, cursor), TypeError);
  });
});
