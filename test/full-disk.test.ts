import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import { floats, graph, model, node, value, elementTypes } from '../examples/onnx-writer.ts';
import { createHttpClient } from '../src/cli/http-client.ts';
import { ApiFailure, apiPath, type KeepClient } from '../src/cli/keep-client.ts';
import { loadConfig } from '../src/config/load.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { createKeep } from '../src/server/keep.ts';
import { runCli, startServer } from './support/server-process.ts';
import { openSmallDisk } from './support/small-disk.ts';

const POLARITY = join(import.meta.dirname, '..', 'examples', 'models', 'polarity.onnx');
const KIB = 1024;
const REFUSED = /^storage\.not_writable 507$|^audit\.unavailable 503$/;

describe('a server on a full disk', () => {
  it('refuses what it cannot store or record, and has lost nothing when there is space again', async (test) => {
    await using disk = await openSmallDisk();
    const home = join(disk.directory, 'keep');
    await makeKeep(home);
    const keep = createHttpClient({ kind: 'socket', path: join(home, 'run', 'admin.sock') });
    const first = await startServer(home);
    test.after(() => first.kill());
    const { pid = 0 } = first.child;
    assert.equal(await outcomeOf(addModel(keep, 'polarity', await readFile(POLARITY))), 'done');
    assert.equal(await outcomeOf(predict(keep)), 'done');

    await disk.leave(384 * KIB, pid);
    assert.equal(
      await outcomeOf(addModel(keep, 'large', largeModel(1024 * KIB))),
      'storage.not_writable 507',
    );
    assert.equal(await countFiles(join(home, 'blobs')), 1, 'the artifact of polarity alone');
    assert.equal(await outcomeOf(predict(keep)), 'done', 'what needs little space goes on');
    assert.equal((await fetch(`${first.base}/readyz`)).status, 200);

    // Room for an entry of the log, not for a change of the database.
    await disk.leave(12 * KIB, pid);
    const body = { name: 'early' };
    const early = await outcomeOf(keep.request({ method: 'POST', path: '/api/v1/users', body }));
    assert.match(early, REFUSED);

    await disk.leave(0, pid);
    const created: string[] = [];
    let refusals = 0;
    for (let round = 0; round < 100 && (await fetch(`${first.base}/readyz`)).status === 200; round++) {
      const name = `user-${round}`;
      const outcomes = [
        await outcomeOf(keep.request({ method: 'POST', path: '/api/v1/users', body: { name } })),
        await outcomeOf(addModel(keep, `model-${round}`, largeModel(64 * KIB))),
        // The log has taken room ahead, which entries use up.
        ...(await Promise.all(Array.from({ length: 40 }, () => outcomeOf(predict(keep))))),
      ];
      if (outcomes[0] === 'done') created.push(name);
      const refused = outcomes.filter((outcome) => outcome !== 'done');
      for (const outcome of refused) assert.match(outcome, REFUSED);
      refusals += refused.length;
    }
    assert.ok(refusals >= 3, `only ${refusals} requests were refused`);
    const readiness = await fetch(`${first.base}/readyz`);
    assert.equal(readiness.status, 503);
    assert.match(await readiness.text(), /audit log cannot be written/);
    assert.equal(await outcomeOf(predict(keep)), 'audit.unavailable 503', 'nothing happens unrecorded');
    assert.equal((await fetch(`${first.base}/livez`)).status, 200);
    assert.notEqual(await first.stop(), null, 'it ends by itself');

    await disk.free();
    const second = await startServer(home);
    test.after(() => second.kill());
    const { users } = await keep.request<{ users: { name: string }[] }>({
      method: 'GET',
      path: '/api/v1/users',
    });
    const names = users.map(({ name }) => name);
    assert.deepEqual(
      created.filter((name) => !names.includes(name)),
      [],
      'what was acknowledged is there',
    );
    // A change whose end could not be recorded was answered as refused; the restart found it and said so in the log.
    assert.equal(names.length - created.length, await countRecovered(keep, 'user.create'));
    const { models } = await keep.request<{ models: { name: string }[] }>({
      method: 'GET',
      path: '/api/v1/models',
    });
    assert.deepEqual(
      models.map(({ name }) => name),
      ['polarity'],
    );
    assert.equal(await countFiles(join(home, 'blobs')), 1);
    assert.equal(await outcomeOf(predict(keep)), 'done');
    const { ok, problems } = await keep.request<{ ok: boolean; problems: unknown[] }>({
      method: 'POST',
      path: '/api/v1/audit/verify',
    });
    assert.deepEqual([ok, problems], [true, []]);
    assert.equal(await second.stop(), 0);
  });
});

describe('a server on a keep that cannot be written', () => {
  it('does not start, and says why', async () => {
    await using disk = await openSmallDisk();
    const home = join(disk.directory, 'keep');
    await makeKeep(home);
    const under = disk.freeze();
    const { code, stdout, stderr } = await runCli(['--home', home, 'serve', '--port', '0'], { under });
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^modelkeep: error: .*cannot be written.*\(storage\.not_writable\)\n$/);
  });
});

async function makeKeep(home: string): Promise<void> {
  const config = loadConfig({
    flags: { 'audit.reserveBytes': '0' },
    env: {},
    homeDirectory: home,
    readFile: () => undefined,
  });
  await createKeep({ home, config, clock: systemClock, log: silentLog });
  // The disk is smaller than the space that is kept back by default.
  await writeFile(join(home, 'modelkeep.yaml'), 'audit:\n  reserveBytes: 0\n', { mode: 0o600 });
}

/** `done`, or the code and status of the refusal. */
async function outcomeOf(request: Promise<unknown>): Promise<string> {
  try {
    await request;
    return 'done';
  } catch (error) {
    if (error instanceof ApiFailure) return `${error.problem.code} ${error.status}`;
    throw error;
  }
}

function addModel(keep: KeepClient, name: string, bytes: Uint8Array): Promise<unknown> {
  return keep.request({
    method: 'POST',
    path: apiPath`/api/v1/projects/default/models/${name}/versions`,
    query: { alias: 'production' },
    stream: Readable.from([bytes]),
  });
}

function predict(keep: KeepClient): Promise<unknown> {
  return keep.request({
    method: 'POST',
    path: '/projects/default/models/polarity/predict',
    body: { value: 3 },
  });
}

/** Sound, and of about this many bytes. */
function largeModel(bytes: number): Uint8Array {
  const numbers = bytes / 4;
  return model({
    opsets: { '': 20 },
    graph: graph({
      name: 'large',
      inputs: [value('x', elementTypes.FLOAT, [numbers])],
      outputs: [value('y', elementTypes.FLOAT, [numbers])],
      initializers: [floats('ballast', [numbers], Array.from({ length: numbers }, Math.random))],
      nodes: [node('Add', { inputs: ['x', 'ballast'], outputs: ['y'] })],
    }),
  });
}

async function countFiles(directory: string): Promise<number> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.filter((each) => each.isFile()).length;
}

async function countRecovered(keep: KeepClient, action: string): Promise<number> {
  const { entries } = await keep.request<{ entries: { entry: { reason: string } }[] }>({
    method: 'GET',
    path: '/api/v1/audit/entries',
    query: { action, limit: '1000' },
  });
  return entries.filter(({ entry }) => entry.reason === 'recovered_committed').length;
}
