import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { type ChainEnd, readChain } from './chain.ts';
import { type Committer, createCommitter } from './committer.ts';
import { diskFiles } from './files.ts';
import { createHandover, layOut } from './handover.ts';
import { RECORD_OVERHEAD } from './record.ts';
import { segmentAt } from './segment.ts';
import { lengthWithoutZeros } from './tail.ts';

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
  commit(
    committer,
    Array.from({ length: entries }, (_, at) => text(first + at)),
  );
  committer.close();
}

function commit(committer: Committer, texts: readonly string[]): void {
  const { records, leaves } = createHandover();
  for (let done = 0; done < texts.length; ) {
    const waiting = texts.slice(done).map((each) => ({ text: each }));
    const { count, length } = layOut({ records }, waiting);
    committer.commit(records.subarray(0, length), count, leaves);
    done += count;
  }
}

/** Whole numbers below a limit, the same in every run. */
function createRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Claims that one of the records from `first` on begins on the last two bytes of a sector. */
function straddles(entries: readonly string[], first: number, sector: number): boolean {
  let offset = 0;
  return entries.some((entry, at) => {
    const isAcross = at >= first && offset % sector > sector - 3;
    offset += Buffer.byteLength(entry) + RECORD_OVERHEAD;
    return isAcross;
  });
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
    commit(
      committer,
      Array.from({ length: 50 }, () => long),
    );
    committer.close();
    let records = 0;
    for (const { entry } of readChain(directory)) {
      assert.equal(entry.length, long.length);
      records++;
    }
    assert.equal(records, 50);
  });

  for (const room of [0, 4096]) {
    it(`takes every prefix of a write for a write that did not finish, before ${room} bytes of room`, () => {
      write(0, 3);
      const { path } = segmentAt(directory, 0);
      const whole = readFileSync(path);
      const record = whole.length / 3;
      for (let length = 0; length < whole.length; length++) {
        writeFileSync(path, Buffer.concat([whole.subarray(0, length), Buffer.alloc(room)]));
        const { end } = read();
        assert.equal(end.fault, undefined, `cut at ${length}`);
        assert.equal(end.next, Math.floor(length / record));
        assert.equal(end.live?.rest, (length % record) + room);
        assert.ok(end.live.torn <= length % record);
      }
    });

    it(`names the entry for any flipped bit, and never takes one for an unfinished write, before ${room} bytes of room`, () => {
      write(0, 3);
      const { path } = segmentAt(directory, 0);
      const whole = Buffer.concat([readFileSync(path), Buffer.alloc(room)]);
      const data = whole.length - room;
      for (let at = 0; at < data * 8; at++) {
        const changed = Buffer.from(whole);
        changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
        writeFileSync(path, changed);
        assert.equal(read().end.fault?.index, Math.floor((at >> 3) / (data / 3)), `bit ${at}`);
      }
    });
  }

  it('has room behind its records, which is no fault and no unfinished write', () => {
    const committer = createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 1 << 22 });
    commit(committer, [text(0), text(1)]);
    const { end } = read();
    assert.deepEqual([end.fault, end.next, end.live?.torn], [undefined, 2, 0]);
    assert.ok((end.live?.rest ?? 0) > 100_000);
    committer.close();
    assert.equal(read().end.live?.rest, 0);
  });

  it('is read up to the last flushed group when a power failure keeps any sectors of the next one and loses others', () => {
    const sector = 512;
    const random = createRandom(7);
    for (let round = 0; round < 300; round++) {
      const [before, after] = [1 + random(4), 1 + random(6)];
      const entries = Array.from(
        { length: before + after },
        (_, at) => `{"v":1,"id":"${at}","x":"${'y'.repeat(40 + random(1500))}"}`,
      );
      const committer = createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 1 << 22 });
      commit(committer, entries.slice(0, before));
      const { path } = segmentAt(directory, 0);
      const flushed = readFileSync(path);
      commit(committer, entries.slice(before));
      const bytes = readFileSync(path);
      committer.close();
      const end = lengthWithoutZeros(bytes);
      const begin = lengthWithoutZeros(flushed);
      // A header that begins on the last two bytes of a sector looks like damage if exactly that sector is lost.
      if (begin % sector > sector - 3 || straddles(entries, before, sector)) {
        rmSync(path);
        continue;
      }
      for (let at = Math.floor(begin / sector) * sector; at < end; at += sector) {
        if (random(3) === 0) flushed.copy(bytes, at, at, at + sector);
      }
      writeFileSync(path, bytes);
      const records = readChain(directory);
      let step = records.next();
      let read = 0;
      for (; step.done !== true; step = records.next()) {
        assert.equal(Buffer.from(step.value.entry).toString(), entries[read++]);
      }
      assert.equal(step.value.fault, undefined, `round ${round}`);
      assert.ok(read >= before);
      rmSync(path);
    }
  });

  it('is damaged where more than one group stands behind a hole', () => {
    const committer = createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 1 << 22 });
    const long = Array.from({ length: 10 }, (_, at) => `{"v":1,"id":"${at}","x":"${'y'.repeat(50_000)}"}`);
    commit(committer, long);
    const { path } = segmentAt(directory, 0);
    const bytes = readFileSync(path).fill(0, 1024, 2048);
    committer.close();
    writeFileSync(path, bytes);
    const records = readChain(directory);
    const step = records.next();
    assert.equal(step.done, true);
    assert.equal(step.done && step.value.fault?.index, 0);
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
