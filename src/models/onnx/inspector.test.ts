import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as hostile from '../../../examples/hostile.ts';
import {
  concat,
  elementTypes,
  graph,
  int,
  message,
  tensor,
  text,
  value,
} from '../../../examples/onnx-writer.ts';
import { buildPolarity } from '../../../examples/polarity.ts';
import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { modelsProblems } from '../problems.ts';
import { streamOf } from '../testing.ts';
import { inspectOnnx } from './inspect.ts';
import { createInspector } from './inspector.ts';

const is =
  (definition: ProblemDefinition, detail = /./) =>
  (error: unknown): boolean =>
    isProblem(error, definition) && detail.test(error.detail);

const polarity = buildPolarity();

describe('the inspector', () => {
  test('judges a stream in a thread as the bytes are judged in this one, however they are cut', async () => {
    const inspector = createInspector();
    const files = [polarity, hostile.endlessLoop(), hostile.externalData(), Buffer.from('PK\x03\x04')];
    for (const [at, bytes] of files.entries()) {
      const judgement = await inspector.inspect(streamOf(bytes, 7 + at * 100), bytes.length);
      const inspection = inspectOnnx(bytes);
      assert.deepEqual(
        judgement,
        inspection.verdict === 'block'
          ? inspection
          : {
              verdict: 'pass',
              findings: inspection.findings,
              signature: inspection.facts.signature,
            },
      );
    }
  });

  test('leaves this thread free, and judges one file after the other', async () => {
    const inspector = createInspector();
    let open = 0;
    let most = 0;
    async function* watched() {
      most = Math.max(most, ++open);
      yield* streamOf(polarity);
      open--;
    }
    let turns = 0;
    const ticking = setInterval(() => turns++, 1);
    const judged = await Promise.all([1, 2, 3].map(() => inspector.inspect(watched(), polarity.length)));
    clearInterval(ticking);
    assert.deepEqual(
      judged.map(({ verdict }) => verdict),
      ['pass', 'pass', 'pass'],
    );
    assert.equal(most, 1);
    assert.ok(turns > 0);
  });

  test('refuses what takes too long to judge', async () => {
    const hurried = createInspector({ computeMsMax: 1 });
    await assert.rejects(
      hurried.inspect(streamOf(polarity), polarity.length),
      is(modelsProblems.inspection_failed, /more than 1 ms/),
    );
  });

  test('refuses what takes too much memory to judge, and judges the next file', async () => {
    const inspector = createInspector({ heapMiBMax: 32 });
    const { length, pieces } = manyNames(60_000);
    await assert.rejects(
      inspector.inspect(pieces(), length),
      is(modelsProblems.inspection_failed, /more than 32 MiB/),
    );
    const few = manyNames(100);
    assert.equal((await inspector.inspect(few.pieces(), few.length)).verdict, 'pass');
  });

  test('passes on what the stream throws, also after its last byte', async () => {
    const inspector = createInspector();
    for (const bytes of [polarity, polarity.subarray(0, 20)]) {
      let closed = false;
      const failing = async function* () {
        try {
          yield bytes;
          throw new Error('another digest');
        } finally {
          closed = true;
        }
      };
      await assert.rejects(inspector.inspect(failing(), polarity.length), /another digest/);
      assert.ok(closed);
    }
  });

  test('refuses a stream that is shorter than it was said to be', async () => {
    const inspector = createInspector();
    for (const cut of [0, 20, polarity.length - 1]) {
      const { verdict } = await inspector.inspect(streamOf(polarity.subarray(0, cut)), polarity.length);
      assert.equal(verdict, 'block');
    }
  });

  test('says that it is busy when too many wait', async () => {
    const inspector = createInspector({ waitingMax: 1 });
    const judge = (): Promise<unknown> => inspector.inspect(streamOf(polarity), polarity.length);
    const accepted = [judge(), judge()];
    await assert.rejects(judge(), is(modelsProblems.busy));
    await Promise.all(accepted);
    await judge();
  });
});

/** A graph with as many initializers, each with a name of a thousand bytes of its own. */
function manyNames(count: number) {
  const initializer = (at: number): Uint8Array =>
    message(5, tensor(`${at}`.padStart(1000, 'n'), elementTypes.FLOAT, [0], new Uint8Array()));
  const head = graph({
    name: 'g',
    inputs: [value('x', elementTypes.FLOAT, ['N'])],
    outputs: [value('x', elementTypes.FLOAT, ['N'])],
    nodes: [],
  });
  const graphBytes = head.length + count * initializer(0).length;
  const opset = message(8, concat([text(1, ''), int(2, 20)]));
  const prefix = concat([int(1, 9), opset, opened(7, graphBytes), head]);
  async function* pieces() {
    yield prefix;
    for (let at = 0; at < count; at += 100) {
      yield concat(Array.from({ length: Math.min(100, count - at) }, (_, more) => initializer(at + more)));
    }
  }
  return { length: prefix.length + count * initializer(0).length, pieces };
}

/** Tag and length of a message whose contents follow. */
function opened(field: number, bytes: number): Uint8Array {
  return concat([Uint8Array.of(field * 8 + 2), int(0, bytes).subarray(1)]);
}
