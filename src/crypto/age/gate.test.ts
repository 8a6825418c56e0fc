import assert from 'node:assert/strict';
import test from 'node:test';
import { createGate } from './gate.ts';

/** Work that ends when it is told to. */
function createWork() {
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const run = (name: string) => () => {
    started.push(name);
    return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
  };
  return { started, run, end: (name: string) => ends.get(name)?.() };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('work beyond the capacity waits until there is room', async () => {
  const gate = createGate(10);
  const { started, run, end } = createWork();
  const done = ['a', 'b', 'c', 'd'].map((name) => gate.run(5, run(name)));
  await settle();
  assert.deepEqual(started, ['a', 'b']);
  end('b');
  await settle();
  assert.deepEqual(started, ['a', 'b', 'c']);
  for (const name of ['a', 'c']) end(name);
  await settle();
  end('d');
  assert.deepEqual(await Promise.all(done), ['a', 'b', 'c', 'd']);
});

test('what weighs more than everything that fits runs alone, and is not overtaken', async () => {
  const gate = createGate(10);
  const { started, run, end } = createWork();
  const done = [gate.run(1, run('light')), gate.run(99, run('heavy')), gate.run(1, run('later'))];
  await settle();
  assert.deepEqual(started, ['light']);
  end('light');
  await settle();
  assert.deepEqual(started, ['light', 'heavy']);
  end('heavy');
  await settle();
  assert.deepEqual(started, ['light', 'heavy', 'later']);
  end('later');
  await Promise.all(done);
});

test('work that fails makes room all the same', async () => {
  const gate = createGate(1);
  await assert.rejects(
    gate.run(1, () => Promise.reject(new Error('failed'))),
    /failed/,
  );
  assert.equal(await gate.run(1, () => Promise.resolve('next')), 'next');
});
