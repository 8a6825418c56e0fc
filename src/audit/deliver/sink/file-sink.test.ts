import assert from 'node:assert/strict';
import { mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { ORIGIN, sampleEvent } from '../format/testing.ts';
import { createFileSink, type FileSettings } from './file-sink.ts';
import type { Batch, Sink } from './sink.ts';

const never = new AbortController().signal;
const closing: Sink[] = [];
let directory: string;

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'modelkeep-sinks-'));
});
after(() => rm(directory, { recursive: true }));
afterEach(async () => {
  for (const sink of closing.splice(0)) await sink.close();
});

function sinkOf(settings: FileSettings): Sink {
  const sink = createFileSink(settings, { version: '0.1.0' });
  closing.push(sink);
  return sink;
}

function batchFor(sink: Sink, indices: readonly number[]): Batch {
  const events = indices.map((index) => sampleEvent({}, index));
  return { key: '', origin: ORIGIN, items: events.map((event) => ({ event, text: sink.render(event) })) };
}

describe('the file sink', () => {
  const settings = (path: string, more: Partial<FileSettings> = {}): FileSettings => ({
    kind: 'file',
    name: 'file',
    path,
    format: 'json',
    rotateBytes: 1 << 20,
    keepFiles: 2,
    ...more,
  });
  const indices = async (path: string): Promise<number[]> =>
    (await readFile(path, 'utf8'))
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { index: number }).index);

  it('appends lines that only its owner may read', async () => {
    const path = join(directory, 'plain.jsonl');
    const sink = sinkOf(settings(path));
    await sink.send(batchFor(sink, [0, 1]), never);
    await sink.send(batchFor(sink, [2]), never);
    assert.deepEqual(await indices(path), [0, 1, 2]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });

  it('rotates by size and keeps so many old files', async () => {
    const path = join(directory, 'rotated.jsonl');
    const sink = sinkOf(settings(path, { rotateBytes: 1500 }));
    for (let index = 0; index < 8; index++) await sink.send(batchFor(sink, [index]), never);
    const files = await Promise.all([path, `${path}.1`, `${path}.2`].map(indices));
    const kept = files.toReversed().flat();
    assert.deepEqual(
      kept,
      Array.from({ length: kept.length }, (_, n) => 8 - kept.length + n),
    );
    await assert.rejects(stat(`${path}.3`), { code: 'ENOENT' });
  });

  it('cuts off a line that a crash left without its end', async () => {
    const path = join(directory, 'torn.jsonl');
    await writeFile(path, `{"index":0}\n{"index":1}\n{"index":2,"lo${'x'.repeat(100_000)}`);
    const sink = sinkOf(settings(path));
    await sink.send(batchFor(sink, [2]), never);
    assert.deepEqual(await indices(path), [0, 1, 2]);
  });

  it('goes on in a new file after another program took the old one away', async () => {
    const path = join(directory, 'taken.jsonl');
    const sink = sinkOf(settings(path));
    await sink.send(batchFor(sink, [0]), never);
    await rename(path, `${path}.old`);
    await sink.send(batchFor(sink, [1]), never);
    await sink.send(batchFor(sink, [2]), never);
    assert.deepEqual([await indices(`${path}.old`), await indices(path)], [[0, 1], [2]]);
  });
});
