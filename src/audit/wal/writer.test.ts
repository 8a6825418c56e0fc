import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, beforeEach, describe, it } from 'node:test';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { auditProblems } from '../problems.ts';
import { leafHash } from '../tree.ts';
import { type Committer, createCommitter } from './committer.ts';
import { diskFiles, type WalFiles } from './files.ts';
import { COUNT, createHandover, GROUP, type Handover, layOut, TURN } from './handover.ts';
import { createWriterTurns, type WriterTurns } from './protocol.ts';
import { segmentAt } from './segment.ts';
import { openWriter, type Writer, type WriterThread } from './writer.ts';

const root = mkdtempSync(join(tmpdir(), 'modelkeep-writer-'));
after(() => rmSync(root, { recursive: true }));
let directory = '';
let count = 0;
beforeEach(() => {
  directory = join(root, String(count++));
  mkdirSync(join(directory, 'wal'), { recursive: true });
});

interface TestThread extends WriterThread {
  readonly handover: Handover;
  run(): void;
  readonly groups: number[];
}

/** The writer's thread on this thread: what is handed over is done when `run` is called. */
function createThread(files: WalFiles, segmentBytes = 1 << 20): TestThread {
  const emitter = new EventEmitter();
  const handover = createHandover();
  const groups: number[] = [];
  let turns: WriterTurns | undefined;
  let goesOn = false;
  queueMicrotask(() => {
    turns = createWriterTurns(
      handover,
      () => createCommitter({ directory, first: 0, files, segmentBytes }),
      (answer) => emitter.emit('message', answer),
    );
    goesOn = turns.open();
  });
  return {
    handover,
    groups,
    run() {
      if (!goesOn) return;
      if (handover.control[TURN] === GROUP) groups.push(handover.control[COUNT] ?? 0);
      goesOn = turns?.serve() ?? false;
      if (!goesOn) emitter.emit('exit');
    },
    on: (event: string, listener: (...values: never[]) => void) =>
      emitter.on(event, listener as (value: unknown) => void),
    ref: () => {},
    unref: () => {},
  };
}

const open = async (
  thread: TestThread,
  { clock = createManualClock(), queueMax = 100 } = {},
): Promise<Writer & { failures: string[] }> => {
  const failures: string[] = [];
  const writer = await openWriter({
    thread,
    handover: thread.handover,
    first: 0,
    clock,
    queueMax,
    stallMsMax: 2000,
    onDurable: () => {},
    onFailure: (reason) => failures.push(reason),
  });
  return { ...writer, failures };
};

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const unavailable = (error: unknown): boolean => isProblem(error, auditProblems.unavailable);

describe('the writer', () => {
  it('hands over one group while it writes another, and resolves in order after the flush', async () => {
    const order: string[] = [];
    const thread = createThread({
      ...diskFiles,
      sync(fd) {
        diskFiles.sync(fd);
        order.push('flushed');
      },
    });
    const writer = await open(thread);
    order.length = 0;
    const first = writer.append('a').then(() => order.push('a'));
    await turn();
    const others = ['b', 'c', 'd'].map((text) => writer.append(text).then(() => order.push(text)));
    await turn();
    assert.deepEqual(order, []);
    thread.run();
    await turn();
    assert.deepEqual(order, ['flushed', 'a']);
    thread.run();
    await Promise.all([first, ...others]);
    assert.deepEqual(order, ['flushed', 'a', 'flushed', 'b', 'c', 'd']);
    assert.deepEqual(thread.groups, [1, 3]);
    assert.equal(writer.size(), 4);
  });

  it('gives every entry its index and leaf hash, in whatever bytes it takes', async () => {
    const thread = createThread(diskFiles);
    const writer = await open(thread);
    const texts = ['x', 'ü€😀', 'y'.repeat(65_535), ''.padEnd(100, '\u{10ffff}')];
    const written = Promise.all(texts.map((text) => writer.append(text)));
    await turn();
    thread.run();
    for (const [at, { index, leaf }] of (await written).entries()) {
      assert.equal(index, at);
      assert.deepEqual(Buffer.from(leaf), Buffer.from(leafHash(Buffer.from(texts[at] ?? ''))));
    }
  });

  it('begins a new segment when one is full, named by its first entry', async () => {
    const thread = createThread(diskFiles, 10);
    const writer = await open(thread);
    for (let at = 0; at < 3; at++) {
      const written = writer.append('0123456789');
      await turn();
      thread.run();
      await written;
    }
    for (const first of [0, 1, 2]) assert.equal(readFileSync(segmentAt(directory, first).path).length, 16);
    const closed = writer.close();
    thread.run();
    await closed;
    assert.equal(readFileSync(segmentAt(directory, 3).path).length, 0);
  });

  const faults: readonly (readonly [string, Partial<WalFiles>, RegExp])[] = [
    [
      'a short write, which a full disk makes',
      { write: (_, bytes) => bytes.length - 1 },
      /\d+ of \d+ bytes were written/,
    ],
    ['a write that throws', { write: () => raise('ENOSPC: no space left on device') }, /ENOSPC/],
    ['a flush that throws', { sync: () => raise('EIO: i/o error, fdatasync') }, /EIO/],
    ['a segment that is not at its path any more', { isAt: () => false }, /removed, replaced or renamed/],
  ];
  for (const [name, fault, reason] of faults) {
    it(`fails everything pending and to come after ${name}`, async () => {
      let broken = false;
      const files: WalFiles = { ...diskFiles };
      const thread = createThread({
        open: files.open,
        syncDirectory: files.syncDirectory,
        close: files.close,
        stat: files.stat,
        truncate: files.truncate,
        write: (fd, bytes, at) => (broken ? (fault.write ?? files.write) : files.write)(fd, bytes, at),
        sync: (fd) => (broken ? (fault.sync ?? files.sync) : files.sync)(fd),
        isAt: (file, path) => (broken ? (fault.isAt ?? files.isAt) : files.isAt)(file, path),
      });
      const writer = await open(thread);
      const good = writer.append('good');
      await turn();
      thread.run();
      await good;
      broken = true;
      const flying = writer.append('in flight');
      await turn();
      const queued = writer.append('queued');
      const both = Promise.allSettled([flying, queued]);
      thread.run();
      broken = false;
      for (const result of await both) {
        assert.equal(result.status, 'rejected');
        assert.ok(unavailable(result.reason));
      }
      await assert.rejects(writer.append('later'), unavailable);
      thread.run();
      assert.match(writer.failure() ?? '', reason);
      assert.equal(writer.failures.length, 1);
      assert.equal(writer.size(), 1);
      assert.deepEqual(thread.groups, [1, 1]);
    });
  }

  it('does not open over a segment that already holds entries', async () => {
    const committer = createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 100 });
    commit(committer, ['x']);
    await assert.rejects(open(createThread(diskFiles)), unavailable);
  });

  it('turns entries away when too many wait, and takes them again afterwards', async () => {
    const thread = createThread(diskFiles);
    const writer = await open(thread, { queueMax: 2 });
    const flying = writer.append('a');
    await turn();
    const waiting = [writer.append('b'), writer.append('c')];
    await assert.rejects(writer.append('d'), unavailable);
    thread.run();
    await flying;
    thread.run();
    await Promise.all(waiting);
    assert.equal(writer.failure(), undefined);
    assert.equal(writer.size(), 3);
  });

  it('turns entries away while the disk does not answer', async () => {
    const clock = createManualClock();
    const thread = createThread(diskFiles);
    const writer = await open(thread, { clock });
    const flying = writer.append('a');
    await turn();
    clock.advance(2001);
    await assert.rejects(writer.append('b'), unavailable);
    thread.run();
    await flying;
    assert.equal(writer.failure(), undefined);
  });

  it('fails when its thread dies', async () => {
    const thread = createThread(diskFiles);
    const emitter = new EventEmitter();
    const writer = await open({
      ...thread,
      on(event: string, listener: (...values: never[]) => void) {
        if (event === 'exit') emitter.on(event, listener as (value: unknown) => void);
        return thread.on(event as 'message', listener as (answer: unknown) => void);
      },
    });
    const flying = writer.append('a');
    emitter.emit('exit');
    await assert.rejects(flying, unavailable);
    assert.equal(writer.failure(), 'the writer stopped');
  });
});

function commit(committer: Committer, texts: readonly string[]): void {
  const { records, leaves } = createHandover();
  const { count, length } = layOut(
    { records },
    texts.map((text) => ({ text })),
  );
  assert.equal(count, texts.length);
  committer.commit(records.subarray(0, length), count, leaves);
}

describe('the committer', () => {
  const committerHere = (): ReturnType<typeof createCommitter> =>
    createCommitter({ directory, first: 0, files: diskFiles, segmentBytes: 1 << 20 });

  it('notices that the live segment was removed or renamed, before it says that an entry is durable', () => {
    const removed = committerHere();
    commit(removed, ['a']);
    const { path } = segmentAt(directory, 0);
    unlinkSync(path);
    assert.throws(() => removed.check(), /removed, replaced or renamed/);
    assert.throws(() => commit(removed, ['b']), /an earlier write/);
    removed.close();

    const renamed = committerHere();
    renameSync(path, `${path}.old`);
    assert.throws(() => commit(renamed, ['a']), /removed, replaced or renamed/);
    assert.equal(existsSync(path), false);
    renamed.close();
  });

  it('notices a full device, where the system has one', () => {
    const files = { ...diskFiles, open: () => diskFiles.open('/dev/full') };
    assert.throws(() => createCommitter({ directory, first: 0, files, segmentBytes: 1 << 20 }), /ENOSPC/);
  });
});

function raise(message: string): never {
  throw new Error(message);
}
