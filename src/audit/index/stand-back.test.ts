import assert from 'node:assert/strict';
import { getPriority } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

test('a thread that stands back does so alone', async () => {
  const before = getPriority();
  const url = new URL('./stand-back.ts', import.meta.url);
  const code = `import(${JSON.stringify(url.href)}).then(({ standBack }) =>
    require('node:worker_threads').parentPort.postMessage(standBack()))`;
  const worker = new Worker(code, { eval: true });
  const priority = await new Promise<number>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  if (process.platform === 'linux') assert.ok(priority >= 10, `its priority is ${priority}`);
  assert.equal(getPriority(), before);
});
