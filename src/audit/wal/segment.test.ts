import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { type ChainEnd, readChain } from './chain.ts';
import { createCommitter } from './committer.ts';
import { diskFiles } from './files.ts';
import { segmentAt } from './segment.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-wal-'));
after(() => rmSync(root, { recursive: true }));
let directory = '';
let count = 0;
beforeEach(() => {
  directory = join(root, String(count++));
  mkdirSync(join(directory, 'wal'), { recursive: true });
});

const text = (at: number): string => `{"v":1,"id":"${at}"}`;

function write(first: number, entries: number): void {
  const committer = createCommitter({ directory, first, files: diskFiles, segmentBytes: 1 << 20 });
  committer.commit(Array.from({ length: entries }, (_, at) => text(first + at)));
  committer.close();
}

function read(): { readonly entries: readonly string[]; readonly end: ChainEnd } {
  const records = readChain(directory);
  const entries: string[] = [];
  for (let step = records.next(); ; step = records.next()) {
    if (step.done === true) return { entries, end: step.value };
    assert.equal(Buffer.from(step.value.entry).toString(), text(step.value.index));
    entries.push(Buffer.from(step.value.entry).toString());
  }
}

describe('the write-ahead log', () => {
  it('is read back over several segments', () => {
    write(0, 3);
    write(3, 2);
    const { entries, end } = read();
    assert.deepEqual(entries, [0, 1, 2, 3, 4].map(text));
    assert.deepEqual([end.first, end.next, end.live?.segment.first, end.live?.torn], [0, 5, 3, 0]);
  });

  it('reads records that do not fit into one chunk', () => {
    const committer = createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 1 << 30 });
    const long = `{"v":1,"id":"${'x'.repeat(60_000)}"}`;
    committer.commit(Array.from({ length: 50 }, () => long));
    committer.close();
    let records = 0;
    for (const { entry } of readChain(directory)) {
      assert.equal(entry.length, long.length);
      records++;
    }
    assert.equal(records, 50);
  });

  it('takes every prefix of a write for a write that did not finish', () => {
    write(0, 3);
    const { path } = segmentAt(directory, 0);
    const whole = readFileSync(path);
    const record = whole.length / 3;
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      const { end } = read();
      assert.equal(end.fault, undefined, `cut at ${length}`);
      assert.equal(end.next, Math.floor(length / record));
      assert.equal(end.live?.torn, length % record);
    }
  });

  it('takes zeros at the end, as a power failure leaves them, for a write that did not finish', () => {
    write(0, 2);
    const { path } = segmentAt(directory, 0);
    appendFileSync(path, Buffer.concat([Buffer.from([0, 30]), Buffer.from('{"v":1,'), Buffer.alloc(40)]));
    const { end } = read();
    assert.equal(end.fault, undefined);
    assert.deepEqual([end.next, end.live?.torn], [2, 49]);
  });

  it('names the entry for any flipped bit, and never takes one for an unfinished write', () => {
    write(0, 3);
    const { path } = segmentAt(directory, 0);
    const whole = readFileSync(path);
    for (let at = 0; at < whole.length * 8; at++) {
      const changed = Buffer.from(whole);
      changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
      writeFileSync(path, changed);
      assert.equal(read().end.fault?.index, Math.floor((at >> 3) / (whole.length / 3)), `bit ${at}`);
    }
  });

  it('names the first missing entry if a segment is removed, and a segment that is cut in the middle of the row', () => {
    write(0, 2);
    write(2, 2);
    write(4, 1);
    const middle = readFileSync(segmentAt(directory, 2).path);
    rmSync(segmentAt(directory, 2).path);
    assert.match(read().end.fault?.message ?? '', /entry 2 is missing/);
    writeFileSync(segmentAt(directory, 2).path, middle.subarray(0, -1));
    assert.match(read().end.fault?.message ?? '', /entry 3 is damaged at byte \d+ of wal\/2.seg/);
    writeFileSync(segmentAt(directory, 2).path, Buffer.concat([middle, middle]));
    const records = readChain(directory);
    let step = records.next();
    while (step.done !== true) step = records.next();
    assert.match(step.value.fault?.message ?? '', /entry 4 stands in two segments/);
  });
});
