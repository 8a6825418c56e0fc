import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createManualClock } from '../../kernel/clock.ts';
import { isProblem } from '../../kernel/problem.ts';
import { storageProblems } from '../../storage/problems.ts';
import { openCheckpoint, signCheckpoint } from '../checkpoint.ts';
import { parseNote, verifyNote } from '../note.ts';
import { EMPTY_ROOT } from '../tree.ts';
import { cosignatureTime } from './cosignature.ts';
import { originHash } from './protocol.ts';
import { createWitnessMemory, openWitnessFiles } from './stores.ts';
import { cosignatureVerifierOf, cosignerOf, createTestLog, signerOf } from './testing.ts';
import { createWitness, type WitnessOptions } from './witness.ts';

const log = createTestLog();
const fork = createTestLog({ fork: 3, signer: log.signer });
const cosigner = cosignerOf('witness.test/w1');
const verifier = cosignatureVerifierOf(cosigner.vkey);
const clock = createManualClock();
const directory = mkdtempSync(join(tmpdir(), 'modelkeep-witness-'));
after(() => rmSync(directory, { recursive: true }));

const start = (change: Partial<WitnessOptions> = {}) =>
  createWitness({
    store: createWitnessMemory(),
    cosigners: [cosigner],
    logs: [log.verifier],
    clock,
    ...change,
  });
const body = (text: string) => Buffer.from(text);

describe('a witness', () => {
  it('cosigns a log that grows, with the time, and shows the checkpoint to monitors', () => {
    const witness = start();
    assert.equal(witness.checkpoint(originHash(log.origin)), undefined);
    let last = 0;
    for (const size of [1, 2, 2, 7, 8, 33, 64]) {
      const answer = witness.addCheckpoint(log.body(last, size));
      assert.equal(answer.status, 200, answer.body);
      const { verified } = verifyNote(parseNote(log.checkpoint(size) + answer.body), [verifier]);
      assert.equal(cosignatureTime(verified[0]?.signature ?? new Uint8Array(8)), clock.now() / 1000);
      const shown = witness.checkpoint(originHash(log.origin)) ?? '';
      assert.equal(openCheckpoint(shown, log.verifier).size, size);
      assert.equal(verifyNote(parseNote(shown), [verifier]).verified.length, 1);
      last = size;
    }
  });

  it('answers with a line for each of its keys', () => {
    const second = cosignerOf('witness.test/w1', 'ml-dsa-44');
    const { body } = start({ cosigners: [cosigner, second] }).addCheckpoint(log.body(0, 4));
    const both = [verifier, cosignatureVerifierOf(second.vkey)];
    assert.equal(verifyNote(parseNote(log.checkpoint(4) + body), both).verified.length, 2);
  });

  it('answers each wrong submission as the protocol says, and remembers none', () => {
    const witness = start();
    assert.equal(witness.addCheckpoint(log.body(0, 8)).status, 200);
    const stranger = createTestLog({ origin: 'other.test/audit' });
    const impostor = createTestLog({ signer: signerOf(log.origin) });
    const note = log.checkpoint(9);
    const wrongSignature = note.replace(
      /^(\u2014 \S+ .{12})(.)/m,
      (_, head, one) => `${head}${one === 'A' ? 'B' : 'A'}`,
    );
    const emptyWithRoot = signCheckpoint({ origin: log.origin, size: 0, root: log.root(1) }, log.signer);
    for (const [status, bytes, why] of [
      [404, stranger.body(0, 8), 'an unknown log'],
      [403, impostor.body(8, 9), 'an unknown key'],
      [403, log.body(8, 9, { checkpoint: wrongSignature }), 'a bad signature'],
      [
        403,
        log.body(8, 9, {
          checkpoint: note.replace(
            log.checkpoint(9).split('\n')[2] ?? '',
            Buffer.alloc(32).toString('base64'),
          ),
        }),
        'another root',
      ],
      [400, log.body(9, 8), 'an old size above the size'],
      [409, log.body(7, 9), 'an older size'],
      [409, log.body(0, 9), 'no size'],
      [409, log.body(9, 10), 'a size that was not cosigned'],
      [409, log.body(0, 8), 'a replay of the first submission'],
      [422, log.body(8, 9, { proof: [] }), 'no proof'],
      [422, log.body(8, 9, { proof: log.proof(8, 10) }), 'another proof'],
      [422, log.body(8, 9, { proof: [...log.proof(8, 9), log.root(1)] }), 'a proof that is too long'],
      [422, fork.body(8, 9), 'a rewritten history'],
      [422, fork.body(8, 8), 'another root of the same size'],
      [422, log.body(8, 8, { proof: [log.root(8)] }), 'a proof from a size to itself'],
      [409, log.body(0, 0, { checkpoint: emptyWithRoot }), 'a log that became empty'],
    ] as const) {
      const answer = witness.addCheckpoint(bytes);
      assert.equal(answer.status, status, `${why}: ${answer.body}`);
      if (status === 409) assert.deepEqual([answer.type, answer.body], ['text/x.tlog.size', '8\n'], why);
      assert.doesNotMatch(answer.body, /\u2014/, why);
    }
    assert.equal(witness.addCheckpoint(log.body(8, 9)).status, 200);
  });

  it('takes an empty log, and then any first size without a proof', () => {
    const witness = start();
    const wrong = signCheckpoint({ origin: log.origin, size: 0, root: log.root(1) }, log.signer);
    assert.equal(witness.addCheckpoint(log.body(0, 0, { checkpoint: wrong })).status, 422);
    assert.equal(witness.addCheckpoint(log.body(0, 5, { proof: [EMPTY_ROOT] })).status, 422);
    assert.equal(witness.addCheckpoint(log.body(0, 0)).status, 200);
    assert.equal(witness.addCheckpoint(log.body(0, 5)).status, 200);
  });

  it('refuses malformed bodies with 400', () => {
    const witness = start();
    const checkpoint = log.checkpoint(4);
    const hash = Buffer.alloc(32, 1).toString('base64');
    const lines = (count: number) => `${hash}\n`.repeat(count);
    const [, , root = ''] = checkpoint.split('\n');
    for (const text of [
      '',
      '\n\n',
      'old 0\n',
      'old 0',
      `old 0\n${checkpoint}`.replaceAll('\n\n', '\n'),
      `old 0\r\n\r\n${checkpoint}`,
      `\ufeffold 0\n\n${checkpoint}`,
      `Old 0\n\n${checkpoint}`,
      `old  0\n\n${checkpoint}`,
      `old 0 \n\n${checkpoint}`,
      `old 00\n\n${checkpoint}`,
      `old -1\n\n${checkpoint}`,
      `old +1\n\n${checkpoint}`,
      `old 0x1\n\n${checkpoint}`,
      `old 1e0\n\n${checkpoint}`,
      `old 9007199254740992\n\n${checkpoint}`,
      `old 18446744073709551616\n\n${checkpoint}`,
      `old 0\n${hash.slice(0, -1)}\n\n${checkpoint}`,
      `old 0\n${hash.slice(4)}\n\n${checkpoint}`,
      `old 0\n${hash.slice(0, -2)}F=\n\n${checkpoint}`,
      `old 0\n ${hash}\n\n${checkpoint}`,
      `old 0\n${lines(64)}\n${checkpoint}`,
      `old 0\n\n`,
      `old 0\n\n${checkpoint.slice(0, -1)}`,
      `old 0\n\n${checkpoint}\n`,
      `old 0\n\n${checkpoint}\u0000`,
      `old 0\n\n${checkpoint.replace('\n4\n', '\n04\n')}`,
      `old 0\n\n${checkpoint.replace('\n4\n', '\n9007199254740992\n')}`,
      `old 0\n\n${checkpoint.replace('\n4\n', '\n18446744073709551615\n')}`,
      `old 0\n\n${checkpoint.replace(root, root.slice(4))}`,
      `old 0\n\n${checkpoint.split('\n\n')[0]}\n`,
    ]) {
      assert.equal(witness.addCheckpoint(body(text)).status, 400, JSON.stringify(text));
    }
    assert.equal(witness.addCheckpoint(Buffer.from([...log.body(0, 4), 0xff])).status, 400);
    assert.equal(witness.addCheckpoint(body(`old 0\n${lines(63)}\n${checkpoint}`)).status, 422);
    assert.equal(witness.addCheckpoint(log.body(0, 4)).status, 200);
  });

  it('cosigns nothing that is changed in any character', () => {
    const whole = log.body(5, 9).toString();
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.constantFrom('0', 'x', '\n', ' ', '—', '+'), (at, other) => {
        fc.pre(whole[at] !== other);
        const witness = start();
        witness.addCheckpoint(log.body(0, 5));
        const answer = witness.addCheckpoint(body(whole.slice(0, at) + other + whole.slice(at + 1)));
        assert.notEqual(answer.status, 200, answer.body);
        assert.equal(openCheckpoint(witness.checkpoint(originHash(log.origin)) ?? '', log.verifier).size, 5);
      }),
      { numRuns: 150 },
    );
  });

  it('answers any bytes at all', () => {
    const witness = start();
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.string().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          assert.ok(witness.addCheckpoint(bytes).status >= 400);
        },
      ),
      { numRuns: 300 },
    );
  });

  it('cosigns one history alone, in whatever order two are shown to it', () => {
    const step = fc.record({ from: fc.nat(20), more: fc.nat(20), forked: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const witness = start();
        let size = 0;
        let side: boolean | undefined;
        for (const { from, more, forked } of steps) {
          const { status } = witness.addCheckpoint((forked ? fork : log).body(from, from + more));
          if (status !== 200) continue;
          assert.equal(from, size);
          size = from + more;
          // The two agree on the first three entries.
          if (size > 3) {
            assert.ok(side === undefined || side === forked);
            side = forked;
          }
        }
      }),
      { numRuns: 150 },
    );
  });

  it('takes the old and the new key of a log that changes its key', () => {
    const next = createTestLog({ signer: signerOf(log.origin) });
    const witness = start({ logs: [log.verifier, next.verifier] });
    assert.equal(witness.addCheckpoint(log.body(0, 4)).status, 200);
    const both = signCheckpoint({ origin: log.origin, size: 5, root: log.root(5) }, [
      log.signer,
      next.signer,
    ]);
    assert.equal(witness.addCheckpoint(log.body(4, 5, { checkpoint: both })).status, 200);
    assert.equal(parseNote(witness.checkpoint(originHash(log.origin)) ?? '').signatures.length, 3);
    assert.equal(witness.addCheckpoint(next.body(5, 6)).status, 200);
  });

  it('cosigns extension lines, which it makes no statement about', () => {
    const text = `${log.origin}\n4\n${Buffer.from(log.root(4)).toString('base64')}\nextension 1\n`;
    const checkpoint = `${text}\n${log.signer.sign(text)}\n`;
    const answer = start().addCheckpoint(log.body(0, 4, { checkpoint }));
    assert.equal(answer.status, 200, answer.body);
    assert.equal(verifyNote(parseNote(checkpoint + answer.body), [verifier]).text, text);
  });
});

describe('the memory of a witness', () => {
  it('outlives the process, one file for each log', () => {
    const path = join(directory, 'state');
    const other = createTestLog({ origin: 'other.test/audit' });
    const logs = [log.verifier, other.verifier];
    {
      using store = openWitnessFiles(path);
      const witness = start({ store, logs });
      assert.equal(witness.addCheckpoint(log.body(0, 9)).status, 200);
      assert.equal(witness.addCheckpoint(other.body(0, 4)).status, 200);
    }
    using store = openWitnessFiles(path);
    const witness = start({ store, logs });
    assert.equal(witness.addCheckpoint(log.body(0, 5)).body, '9\n');
    assert.equal(witness.addCheckpoint(other.body(0, 5)).body, '4\n');
    assert.match(
      readFileSync(join(path, originHash(log.origin), 'checkpoint'), 'utf8'),
      /^keep\.test\/audit\n9\n/,
    );
  });

  it('is held by one process at a time', () => {
    using store = openWitnessFiles(join(directory, 'held'));
    assert.equal(store.read(log.origin), undefined);
    assert.throws(
      () => openWitnessFiles(join(directory, 'held')),
      (error) => isProblem(error, storageProblems.keep_locked),
    );
  });

  it('is not begun anew where it is damaged, and no cosignature leaves that was not kept', () => {
    const path = join(directory, 'damaged');
    using store = openWitnessFiles(path);
    const witness = start({ store });
    assert.equal(witness.addCheckpoint(log.body(0, 9)).status, 200);
    writeFileSync(join(path, originHash(log.origin), 'checkpoint'), 'nothing\n');
    assert.throws(() => witness.addCheckpoint(log.body(0, 3)), /note/);
    const full = { read: () => undefined, replace: () => assert.fail('the disk is full') };
    assert.throws(() => start({ store: full }).addCheckpoint(log.body(0, 3)), /disk is full/);
  });
});
