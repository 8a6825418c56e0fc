import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { describe, it, type TestContext } from 'node:test';
import {
  endlessLoop,
  externalData,
  failsAtRun,
  foreignOperator,
  garbage,
  growingMemory,
  memoryHog,
  truncated,
} from '../../examples/hostile.ts';
import { buildPolarity } from '../../examples/polarity.ts';
import { type Clock, createManualClock } from '../kernel/clock.ts';
import { silentLog } from '../kernel/log.ts';
import { isProblem } from '../kernel/problem.ts';
import { modelsProblems } from '../models/problems.ts';
import type { Version } from '../models/version.ts';
import type { ServingLimits } from './limits.ts';
import { createPredictor, type Predictor } from './predictor.ts';
import { servingProblems } from './problems.ts';
import type { Tensor } from './tensors.ts';
import { createTestingModels, type TestingModels, valueSignature } from './testing-models.ts';
import { isAlive, until } from './testing-processes.ts';

interface Setup {
  readonly models: TestingModels;
  readonly predictor: Predictor;
}

function setUp(
  t: TestContext,
  limits: Partial<ServingLimits> = {},
  clock: Clock = createManualClock(),
): Setup {
  const models = createTestingModels();
  const predictor = createPredictor({ models, clock, log: silentLog, limits });
  t.after(() => predictor.close());
  return { models, predictor };
}

function addPolarity(models: TestingModels, model = 'polarity'): Version {
  return models.add({ model, bytes: buildPolarity(), signature: valueSignature('BYTES') });
}

function addHostile(models: TestingModels, bytes: Uint8Array): Version {
  return models.add({ model: 'hostile', bytes, signature: valueSignature('FP32') });
}

function values(...numbers: number[]): readonly Tensor[] {
  return [{ name: 'value', type: 'FP32', shape: [numbers.length], data: Float32Array.from(numbers) }];
}

async function ask({ predictor }: Setup, version: Version, ...numbers: number[]): Promise<unknown> {
  const [output] = await predictor.predict(version, values(...numbers));
  return Array.from<unknown>((output?.data ?? []) as ArrayLike<unknown>);
}

function only({ predictor }: Setup): ReturnType<Predictor['status']>[number] {
  const [status, ...others] = predictor.status();
  assert.ok(status && others.length === 0);
  return status;
}

describe('a model process', () => {
  it('predicts with the real polarity model, one process for all requests', async (t) => {
    const keep = setUp(t);
    const version = addPolarity(keep.models);
    assert.deepEqual(await ask(keep, version, 3), ['positive']);
    assert.deepEqual(await ask(keep, version, -1, 0, 2), ['negative', 'negative', 'positive']);
    const { state, restarts, runs, predictions, queue } = only(keep);
    assert.deepEqual(
      { state, restarts, runs, predictions, queue },
      {
        state: 'ready',
        restarts: 0,
        runs: 2,
        predictions: 2,
        queue: 0,
      },
    );
  });

  it('has an empty working directory that is gone, an environment without a single variable of ours, low standing with the kernel', async (t) => {
    const keep = setUp(t);
    await keep.predictor.warm(addPolarity(keep.models));
    const pid = only(keep).pid as number;
    assert.match(readlinkSync(`/proc/${pid}/cwd`), /modelkeep-model-\w+ \(deleted\)$/);
    assert.deepEqual(readdirSync(`/proc/${pid}/cwd`), []);
    const names = readFileSync(`/proc/${pid}/environ`, 'latin1')
      .split('\0')
      .filter(Boolean)
      .map((pair) => pair.split('=')[0]);
    assert.deepEqual(new Set(names), new Set(['NODE_CHANNEL_FD', 'NODE_CHANNEL_SERIALIZATION_MODE']));
    assert.ok(readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0').includes('--permission'));
    assert.equal(readFileSync(`/proc/${pid}/oom_score_adj`, 'latin1').trim(), '1000');
  });

  it('runs what arrives in one turn of the event loop together', async (t) => {
    const keep = setUp(t, { batchRowsMax: 8 });
    const version = addPolarity(keep.models);
    await keep.predictor.warm(version);
    const numbers = Array.from({ length: 20 }, (_, index) => index - 10);
    const answers = await Promise.all(numbers.map((number) => ask(keep, version, number)));
    assert.deepEqual(
      answers,
      numbers.map((number) => [number > 0 ? 'positive' : 'negative']),
    );
    const { runs, predictions } = only(keep);
    assert.deepEqual({ runs, predictions }, { runs: 3, predictions: 20 });
  });

  it('gives neighbours of a bad row their answers', async (t) => {
    const keep = setUp(t);
    // Index `value` + 1000 into a table of one row: only -1000 and -1001 (from the end) are within it.
    const version = addHostile(keep.models, failsAtRun());
    await keep.predictor.warm(version);
    const answers = await Promise.allSettled([-1000, 5, -1001].map((number) => ask(keep, version, number)));
    assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
    const [, bad] = answers;
    assert.ok(bad?.status === 'rejected' && isProblem(bad.reason, servingProblems.run_failed));
    assert.doesNotMatch(
      JSON.stringify(bad.reason),
      /Gather|indices/,
      'the words of the runtime are the cause alone',
    );
    const { runs, restarts } = only(keep);
    assert.deepEqual({ runs, restarts }, { runs: 4, restarts: 0 });
  });

  it('is killed when a model never answers; requests that waited get theirs from the next process', async (t) => {
    const keep = setUp(t, { deadlineMs: 150, batchRowsMax: 1 });
    const loop = addHostile(keep.models, endlessLoop());
    const polarity = addPolarity(keep.models);
    await keep.predictor.warm(loop);
    const pid = only(keep).pid as number;
    const first = ask(keep, loop, 1);
    const second = ask(keep, loop, 2);
    const other = ask(keep, polarity, 1);
    await assert.rejects(
      first,
      (error) => isProblem(error, servingProblems.deadline_exceeded) && error.status === 504,
    );
    assert.deepEqual(await other, ['positive']);
    await assert.rejects(second, (error) => isProblem(error, servingProblems.deadline_exceeded));
    await until(() => !isAlive(pid));
    assert.equal(keep.predictor.status()[0]?.restarts, 2);
  });

  it('answers a request that has outlived two processes', async (t) => {
    const keep = setUp(t, { deadlineMs: 100, batchRowsMax: 1 });
    const loop = addHostile(keep.models, endlessLoop());
    await keep.predictor.warm(loop);
    const answers = await Promise.allSettled([1, 2, 3].map((number) => ask(keep, loop, number)));
    assert.deepEqual(
      answers.map((answer) => answer.status === 'rejected' && (answer.reason as { code: string }).code),
      ['serving.deadline_exceeded', 'serving.deadline_exceeded', 'serving.model_killed'],
    );
  });

  for (const [name, bytes] of [
    ['takes much memory at once', memoryHog(2)],
    ['takes more and more memory', growingMemory()],
  ] as const) {
    it(`is killed when a model ${name}`, async (t) => {
      const keep = setUp(t, { memoryBytesMax: 96 * 2 ** 20, deadlineMs: 20_000 });
      const hog = addHostile(keep.models, bytes);
      await assert.rejects(
        ask(keep, hog, 1),
        (error) => isProblem(error, servingProblems.model_killed) && /96 MiB/.test(error.detail),
      );
      assert.deepEqual(await ask(keep, addPolarity(keep.models), 1), ['positive']);
    });
  }

  it('is started again after a crash', async (t) => {
    const keep = setUp(t);
    const version = addPolarity(keep.models);
    await keep.predictor.warm(version);
    const pid = only(keep).pid as number;
    process.kill(pid, 'SIGKILL');
    await until(() => only(keep).pid !== undefined && only(keep).pid !== pid);
    assert.deepEqual(await ask(keep, version, 1), ['positive']);
    assert.equal(only(keep).restarts, 1);
  });

  it('is out of service once its restarts are used up, until the minute has passed', async (t) => {
    const clock = createManualClock();
    const keep = setUp(t, { restartsPerMinute: 1 }, clock);
    const version = addPolarity(keep.models);
    for (let kill = 0; kill < 2; kill++) {
      await keep.predictor.warm(version);
      const pid = only(keep).pid as number;
      process.kill(pid, 'SIGKILL');
      await until(() => only(keep).pid !== pid);
    }
    await until(() => only(keep).state === 'unavailable');
    assert.equal(keep.predictor.isAvailable(version), false);
    await assert.rejects(ask(keep, version, 1), (error) => {
      assert.ok(isProblem(error, servingProblems.model_unavailable));
      assert.deepEqual([error.status, error.headers['retry-after']], [503, '60']);
      return true;
    });
    clock.advance(60_000);
    assert.deepEqual(await ask(keep, version, 1), ['positive']);
  });

  it('refuses what its queue does not hold, and says when to come back', async (t) => {
    const keep = setUp(t, { queueMax: 2 });
    const version = addPolarity(keep.models);
    const answers = await Promise.allSettled([1, 2, 3].map((number) => ask(keep, version, number)));
    const last = answers.at(-1);
    assert.deepEqual(
      answers.map(({ status }) => status),
      ['fulfilled', 'fulfilled', 'rejected'],
    );
    assert.ok(last?.status === 'rejected' && isProblem(last.reason, servingProblems.overloaded));
    assert.equal(last.reason.headers['retry-after'], '1');
  });

  it('does not start a run whose caller has gone', async (t) => {
    const keep = setUp(t);
    const version = addPolarity(keep.models);
    const controller = new AbortController();
    const asked = keep.predictor.predict(version, values(1), controller.signal);
    controller.abort();
    await assert.rejects(asked, { name: 'AbortError' });
    assert.equal(only(keep).runs, 0);
  });

  it('refuses outputs larger than the limit and lives on', async (t) => {
    const keep = setUp(t, { outputBytesMax: 30 });
    const version = addPolarity(keep.models);
    await assert.rejects(ask(keep, version, 1, 2, 3, 4), (error) =>
      isProblem(error, servingProblems.unusable_output),
    );
    assert.deepEqual(await ask(keep, version, 1), ['positive']);
    assert.equal(only(keep).restarts, 0);
  });
});

describe('loading a model', () => {
  for (const [name, bytes] of [
    ['garbage', garbage()],
    ['a truncated model', truncated()],
    ['an operator that nobody knows', foreignOperator()],
    ['weights in another file', externalData('package.json')],
    ['nothing', new Uint8Array()],
  ] as const) {
    it(`refuses ${name} and leaves no process`, async (t) => {
      const keep = setUp(t);
      const version = addHostile(keep.models, bytes);
      await assert.rejects(ask(keep, version, 1), (error) => isProblem(error, servingProblems.model_refused));
      assert.equal(only(keep).pid, undefined);
    });
  }

  it('surfaces a damaged artifact by its own name, each time', async (t) => {
    const keep = setUp(t, { restartsPerMinute: 1 });
    const version = addPolarity(keep.models);
    keep.models.corrupt(version);
    for (let attempt = 0; attempt < 3; attempt++) {
      await assert.rejects(
        ask(keep, version, 1),
        (error) =>
          isProblem(error, modelsProblems.artifact_corrupt) && /polarity version 1/.test(error.detail),
      );
    }
    assert.equal(only(keep).restarts, 1, 'beyond the budget the artifact is not even opened');
  });

  it('refuses a model whose inputs are not those that were registered', async (t) => {
    const keep = setUp(t);
    const version = keep.models.add({
      model: 'other',
      bytes: buildPolarity(),
      signature: valueSignature('FP32'),
    });
    await assert.rejects(
      ask(keep, version, 1),
      (error) =>
        isProblem(error, servingProblems.signature_mismatch) && /"prediction" is BYTES/.test(error.detail),
    );
  });

  it('is killed where it takes too long', async (t) => {
    const keep = setUp(t, { startMsMax: 1 });
    const version = addPolarity(keep.models);
    await assert.rejects(
      ask(keep, version, 1),
      (error) => isProblem(error, servingProblems.model_killed) && /within 1 ms/.test(error.detail),
    );
  });
});

describe('the predictor', () => {
  it('ends the process that an alias has left, after its last answer', async (t) => {
    const keep = setUp(t);
    const one = addPolarity(keep.models);
    await keep.predictor.warm(one);
    const pid = only(keep).pid as number;
    const inFlight = ask(keep, one, 1);
    const two = addPolarity(keep.models);
    assert.deepEqual(await inFlight, ['positive']);
    await until(() => !isAlive(pid));
    assert.deepEqual(await ask(keep, two, -1), ['negative']);
    assert.equal(only(keep).version, 2);
  });

  it('ends the process of a version that was removed', async (t) => {
    const keep = setUp(t);
    const version = addPolarity(keep.models);
    await keep.predictor.warm(version);
    const pid = only(keep).pid as number;
    keep.models.remove(version);
    await until(() => !isAlive(pid));
    await assert.rejects(keep.predictor.warm(version), (error) =>
      isProblem(error, servingProblems.unknown_model),
    );
  });

  it('makes room by ending the process that was unused for longest', async (t) => {
    const clock = createManualClock();
    const keep = setUp(t, { processesMax: 2 }, clock);
    for (const name of ['a', 'b', 'c']) {
      clock.advance(1);
      assert.deepEqual(await ask(keep, addPolarity(keep.models, name), 1), ['positive']);
    }
    assert.deepEqual(
      keep.predictor.status().map(({ model }) => model),
      ['b', 'c'],
    );
  });

  it('gives what waits its answers when it closes, takes nothing more, and leaves no process', async (t) => {
    const keep = setUp(t);
    const version = addPolarity(keep.models);
    await keep.predictor.warm(version);
    const pid = only(keep).pid as number;
    const waiting = ask(keep, version, 1);
    const closed = keep.predictor.close();
    await assert.rejects(ask(keep, version, 2), (error) =>
      isProblem(error, servingProblems.model_unavailable),
    );
    assert.deepEqual(await waiting, ['positive']);
    await closed;
    assert.equal(isAlive(pid), false);
  });

  it('kills what does not end within the drain time', async (t) => {
    const keep = setUp(t, { drainMsMax: 50, deadlineMs: 60_000 });
    const loop = addHostile(keep.models, endlessLoop());
    await keep.predictor.warm(loop);
    const pid = only(keep).pid as number;
    const asked = ask(keep, loop, 1);
    const rejected = assert.rejects(asked, (error) => isProblem(error, servingProblems.model_killed));
    await keep.predictor.close();
    await rejected;
    assert.equal(isAlive(pid), false);
  });

  it('takes its model processes along when it is killed, even one in an endless loop', async () => {
    const here = (file: string): string => JSON.stringify(new URL(file, import.meta.url).href);
    const script = `
      import { endlessLoop } from ${here('../../examples/hostile.ts')};
      import { systemClock } from ${here('../kernel/clock.ts')};
      import { silentLog } from ${here('../kernel/log.ts')};
      import { createPredictor } from ${here('./predictor.ts')};
      import { createTestingModels, valueSignature } from ${here('./testing-models.ts')};
      const models = createTestingModels();
      const limits = { deadlineMs: 60_000 };
      const predictor = createPredictor({ models, clock: systemClock, log: silentLog, limits });
      const version = models.add({ model: 'loop', bytes: endlessLoop(), signature: valueSignature('FP32') });
      await predictor.warm(version);
      predictor.predict(version, [{ name: 'value', type: 'FP32', shape: [1], data: new Float32Array(1) }]);
      setTimeout(() => process.stdout.write(String(predictor.status()[0].pid)), 50);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [printed] = (await once(parent.stdout, 'data')) as [Buffer];
    const pid = Number(printed.toString());
    assert.ok(isAlive(pid));
    parent.kill('SIGKILL');
    await until(() => !isAlive(pid));
  });
});
