import assert from 'node:assert/strict';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { Command } from 'commander';
import { createContext } from '../context.ts';
import { reportOf } from '../failure.ts';
import { ApiFailure } from '../keep-client.ts';
import { type Answers, createFakeAccess, createTestIo, type TestIoOptions } from '../testing.ts';
import { addKeyringCommands, checkRingKeys, type RingKey } from './keyring.ts';

const MEANING = 'what it means';

function key(changes: Partial<RingKey> = {}): RingKey {
  const time = '2026-01-01T00:00:00.000Z';
  return {
    name: 'artifacts',
    purpose: 'wrap',
    createdAt: '2025-12-01T00:00:00.000Z',
    rotatedAt: time,
    rotateDays: 90,
    rotatesAt: '2026-04-01T00:00:00.000Z',
    reencryptingSince: null,
    versions: [
      {
        version: 1,
        state: 'decrypt-only',
        stateSince: time,
        createdAt: '2025-12-01T00:00:00.000Z',
        uses: 7,
        items: [{ place: 'artifact headers', items: 7 }],
      },
      { version: 2, state: 'active', stateSince: time, createdAt: time, uses: 0, items: [] },
    ],
    ...changes,
  };
}

const marked = key({
  versions: key().versions.map((version) =>
    version.version === 1 ? { ...version, state: 'compromised' } : version,
  ),
});

function job(changes: object = {}) {
  return {
    key: 'artifacts',
    version: 2,
    finished: true,
    moved: 7,
    places: [
      { place: 'artifact headers', rewrapping: 'rewrap', moved: 7, left: 0, failures: [] },
      { place: 'API keys', rewrapping: 'on-use', moved: 0, left: 3, failures: [] },
    ],
    meaning: MEANING,
    ...changes,
  };
}

let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});

/** Runs the commands of this file alone. */
async function type(line: string, answers: Answers, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  const io = createTestIo({ environment: { MODELKEEP_HOME: home }, ...options });
  let code = 0;
  const program = new Command('modelkeep').option('--home <dir>').option('--json').exitOverride();
  addKeyringCommands(
    program,
    createContext(program, {
      access,
      io,
      exitWith: (given) => {
        code = given;
      },
    }),
  );
  try {
    await program.parseAsync(line.split(' '), { from: 'user' });
    return { code, out: io.out(), err: io.err(), calls: access.calls };
  } catch (error) {
    const report = reportOf(error);
    return { code: report.exitCode, out: io.out(), err: report.message, calls: access.calls };
  }
}

describe('keyring', () => {
  it('lists keys with their ages and what is under old versions', async () => {
    const { out } = await type('keyring list', () => ({ keys: [marked] }));
    assert.equal(
      out,
      'KEY        PURPOSE  ACTIVE  AGE  ROTATES               UNDER OLD VERSIONS  REMARKS\n' +
        'artifacts  wrap          2  0 d  2026-04-01T00:00:00Z                   7  version 1 compromised\n',
    );
  });

  it('shows the versions of a key', async () => {
    const { out, calls } = await type('keyring show artifacts', () => key());
    assert.equal(calls[0]?.path, '/api/v1/keys/artifacts');
    assert.match(
      out,
      /^VERSION {2}STATE +SINCE +CREATED +USES {2}HOLDS\n +1 {2}decrypt-only .* 7 {2}7 artifact headers\n/,
    );
    const mac = await type('keyring show tags', () => key({ name: 'tags', purpose: 'mac' }));
    assert.match(mac.out, / - {2}7 artifact headers\n/);
  });

  it('creates a key with its purpose and period', async () => {
    const { calls, err } = await type('keyring create data --purpose seal --rotate-days 30', () => key());
    assert.deepEqual(calls[0]?.body, { name: 'data', purpose: 'seal', rotateDays: 30 });
    assert.equal(err, 'created the key data\n');
    const never = await type('keyring create data --purpose wrap --rotate-days never', () => key());
    assert.deepEqual(never.calls[0]?.body, { name: 'data', purpose: 'wrap', rotateDays: null });
    const wrong = await type('keyring create data --purpose rsa', () => key());
    assert.deepEqual([wrong.code, wrong.calls.length], [2, 0]);
  });

  it('rotates, says what that means, and points to what is left', async () => {
    const { err, calls } = await type('keyring rotate artifacts', () => ({ ...key(), meaning: MEANING }));
    assert.deepEqual(calls[0], { method: 'POST', path: '/api/v1/keys/artifacts/rotate' });
    assert.equal(
      err,
      'version 2 of artifacts is active\nwhat it means\n' +
        'modelkeep: hint: 7 items are under old versions: modelkeep keyring rewrap artifacts\n',
    );
  });

  it('asks again until a job is finished, and adds up', async () => {
    let asked = 0;
    const { out, err, code } = await type('keyring rewrap artifacts', () =>
      ++asked < 3 ? job({ finished: false, moved: 200 }) : job(),
    );
    assert.deepEqual([asked, code], [3, 0]);
    assert.equal(
      out,
      'PLACE             LEFT  FAILED  MOVES\n' +
        'artifact headers     0       0  now\n' +
        'API keys             3       0  on use\n',
    );
    assert.match(
      err,
      /200 items moved so far\n400 items moved so far\nmoved 407 items to version 2 of artifacts\n/,
    );
    assert.match(err, /what it means\n$/);
  });

  it('shows no table where nothing is under the key', async () => {
    const { out, err, code } = await type('keyring rewrap artifacts', () => job({ moved: 0, places: [] }));
    assert.deepEqual([out, code], ['', 0]);
    assert.match(err, /^moved 0 items to version 2 of artifacts\n/);
  });

  it('waits for a server that is still at one item after the deadline, and for no one else’s job', async () => {
    const late = new ApiFailure(503, { code: 'http.deadline', detail: 'no answer' });
    const busy = new ApiFailure(409, { code: 'keys.job_running', detail: 'a job is running' });
    const answers = [late, busy, busy, job()];
    const patient = await type('keyring reencrypt artifacts', () => answers.shift());
    assert.deepEqual([patient.code, patient.calls.length], [0, 4]);
    assert.equal(patient.calls[3]?.path, '/api/v1/keys/artifacts/jobs/reencrypt');
    const refused = await type('keyring reencrypt artifacts', () => busy);
    assert.deepEqual([refused.code, refused.calls.length, refused.err], [1, 1, 'a job is running']);
  });

  it('ends with 1 when something could not be moved, or was interrupted', async () => {
    const failures = [{ item: 'fraud/score@1', reason: 'the stored artifact is damaged' }];
    const places = [{ ...job().places[0], failures, left: 1 }];
    const failed = await type('keyring rewrap artifacts', () => job({ places }));
    assert.equal(failed.code, 1);
    assert.match(failed.err, /not moved: fraud\/score@1: the stored artifact is damaged\n/);
    const interrupted = AbortSignal.abort();
    const stopped = await type('keyring rewrap artifacts', () => job({ finished: false }), { interrupted });
    assert.equal(stopped.code, 1);
    assert.match(stopped.err, /hint: not everything was moved; go on: modelkeep keyring rewrap artifacts\n/);
  });

  it('marks a version and says what is under it', async () => {
    const { calls, err } = await type('keyring mark artifacts 1 compromised', () => ({
      ...marked,
      meaning: MEANING,
    }));
    assert.deepEqual(calls[0], {
      method: 'PATCH',
      path: '/api/v1/keys/artifacts/versions/1',
      body: { state: 'compromised' },
    });
    assert.match(
      err,
      /under it: 7 artifact headers\nmodelkeep: hint: modelkeep keyring reencrypt artifacts\n/,
    );
    assert.equal((await type('keyring mark artifacts 1 lost', () => marked)).code, 2);
  });

  it('destroys only when the key is named again, or a person says yes', async () => {
    const answers: Answers = () => ({ ...key(), meaning: MEANING });
    const unasked = await type('keyring destroy artifacts 1', answers);
    assert.deepEqual([unasked.code, unasked.calls.length], [2, 0]);
    const misnamed = await type('keyring destroy artifacts 1 --confirm artefacts', answers);
    assert.deepEqual([misnamed.code, misnamed.calls.length], [2, 0]);
    const no = await type('keyring destroy artifacts 1', answers, { answers: [false] });
    assert.deepEqual([no.code, no.calls.length], [1, 0]);
    for (const [line, options] of [
      ['keyring destroy artifacts 1 --confirm artifacts', {}],
      ['keyring destroy artifacts 1', { answers: [true] }],
    ] as const) {
      const { calls, code } = await type(line, answers, options);
      assert.equal(code, 0);
      assert.deepEqual(calls, [
        { method: 'DELETE', path: '/api/v1/keys/artifacts/versions/1', query: { confirm: 'artifacts' } },
      ]);
    }
  });

  it('prints a recipient alone, for a pipe', async () => {
    const { out, err } = await type('keyring export-recipient artifacts', () => ({
      version: 2,
      recipient: 'age1x',
    }));
    assert.deepEqual([out, err], ['age1x\n', '']);
  });

  it('sets and ends a period', async () => {
    const set = await type('keyring schedule artifacts 30', () => key());
    assert.deepEqual(set.calls[0]?.body, { rotateDays: 30 });
    const never = await type('keyring schedule artifacts never', () => key({ rotatesAt: null }));
    assert.deepEqual(never.calls[0]?.body, { rotateDays: null });
    assert.equal(never.err, 'artifacts is rotated never by itself\n');
  });

  it('has doctor name compromised versions, overdue rotations and unfinished reencryptions', () => {
    const now = Date.parse('2026-02-01T00:00:00Z');
    assert.equal(checkRingKeys([key()], now).state, 'ok');
    const overdue = key({ name: 'old', rotatesAt: '2026-01-31T00:00:00.000Z' });
    const unfinished = key({ name: 'half', reencryptingSince: '2026-01-31T00:00:00.000Z' });
    assert.deepEqual(checkRingKeys([marked, overdue, unfinished], now), {
      check: 'key ring',
      state: 'warning',
      detail:
        'compromised: artifacts version 1 (7 artifact headers); rotation overdue: old; reencryption not finished: half',
      hint: 'move what is under a compromised version with keyring reencrypt, then keyring destroy it',
    });
  });
});
