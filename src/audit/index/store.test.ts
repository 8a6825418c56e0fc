import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { allOf, entryOf, newIndexFile } from './harness.ts';
import { openIndexStore } from './store.ts';

const origin = 'keep.test/audit';
const clock = createManualClock();

/** Indexes batches of 50 until it is killed, and says after each how far it is. */
const WRITER = `
  const { openIndexStore } = await import(process.argv[1]);
  const { entryOf } = await import(process.argv[2]);
  const store = openIndexStore({ file: process.argv[3], origin: '${origin}', clock: performance });
  for (;;) {
    const from = store.applied();
    const entries = Array.from({ length: 50 }, (_, at) => entryOf(from + at));
    store.apply({ from, entries, leaf: String(from) });
    process.stdout.write(from + '\\n');
  }
`;

describe('an index whose process was killed', () => {
  it('holds exactly the entries below its cursor, in terms and in counts, and goes on', async () => {
    const file = await newIndexFile();
    const modules = ['./store.ts', './harness.ts'].map((name) => new URL(name, import.meta.url).href);
    let reached = 0;
    for (let round = 0; round < 3; round++) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, ...modules, file]);
      await once(child.stdout, 'data');
      child.kill('SIGKILL');
      await once(child, 'exit');
      const store = openIndexStore({ file, origin, clock });
      const applied = store.applied();
      assert.equal(store.opened.discarded, undefined);
      assert.ok(applied > reached && applied % 50 === 0, `${applied} after ${reached}`);
      assert.equal(store.opened.leaf, String(applied - 50));
      reached = applied;
      const found = store.find({ terms: ['p=ada'], floor: 0, end: applied + 1000, limit: applied + 1000 });
      assert.equal(found.indices.length, applied);
      assert.deepEqual([found.indices[0], found.indices.at(-1)], [applied - 1, 0]);
      assert.equal(store.stats(allOf()).total, applied);
      store.apply({
        from: applied,
        entries: [...Array(50).keys()].map((at) => entryOf(applied + at)),
        leaf: String(applied),
      });
      store.close();
    }
  });

  it('refuses a batch that does not follow', async () => {
    const store = openIndexStore({ file: await newIndexFile(), origin, clock });
    store.apply({ from: 0, entries: [entryOf(0)], leaf: 'a' });
    assert.throws(() => store.apply({ from: 0, entries: [entryOf(0)], leaf: 'a' }), RangeError);
    assert.throws(() => store.apply({ from: 2, entries: [entryOf(2)], leaf: 'a' }), RangeError);
    assert.equal(store.applied(), 1);
    store.close();
  });
});
