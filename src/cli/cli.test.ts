import assert from 'node:assert/strict';
import { mkdtemp, readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { ApiFailure } from './keep-client.ts';
import { type Answers, createFakeAccess, type Outcome, runCli, type TestIoOptions } from './testing.ts';

let home: string;

before(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});

/** Types a line in a directory that holds a keep. */
async function type(
  line: string,
  answers: Answers = () => undefined,
  options: TestIoOptions = {},
): Promise<Outcome & { readonly calls: ReturnType<typeof createFakeAccess>['calls'] }> {
  const access = createFakeAccess(answers);
  const argv = line.split(' ').filter((word) => word !== '');
  const outcome = await runCli(argv, access, { environment: { MODELKEEP_HOME: home }, ...options });
  assert.equal(access.open, 0, 'the keep is closed again');
  return { ...outcome, calls: access.calls };
}

const ADA = {
  id: 'usr_1',
  name: 'ada',
  display: 'Ada',
  state: 'active',
  createdAt: '2026-01-01T00:00:00.000Z',
};

describe('wrong usage', () => {
  for (const [line, complaint] of [
    ['', /Usage: modelkeep/],
    ['frobnicate', /error: unknown command 'frobnicate'/],
    ['user list', /hint: did you mean users\?|hint: did you mean/],
    ['users list --colour', /error: unknown option '--colour'/],
    ['users create', /error: missing required argument 'name'/],
    ['models add model.onnx', /error: required option '--model <model>' not specified/],
    ['models alias fraud/score production', /does not name a version/],
    ['models show a/b/c', /does not name a model/],
    ['audit search --from yesterday', /yesterday is not a time/],
    ['audit search --decision maybe', /Allowed choices are allow, deny, error/],
    ['audit tail -n 0', /whole number of at least 1/],
    ['audit verify ./copy', /give the verifier key/],
    ['audit verify --key x', /--key needs the directory/],
    ['users delete ada', /no terminal to ask on/],
    ['users create ada --role admin', /--role and --scope belong together/],
    ['users create ada', /no terminal to ask for the password on/],
    ['api-keys create user:ada --show-secret --allow model.invoke', /is not PERMISSION@SCOPE/],
    ['demo --port 70000', /70000 is not a port/],
  ] as const) {
    it(`exits with 2 on: modelkeep ${line}`, async () => {
      const { code, out, err, calls } = await type(line);
      assert.equal(code, 2, err);
      assert.equal(out, '');
      assert.match(err, complaint);
      assert.deepEqual(calls, []);
    });
  }

  it('writes each complaint as one line with the name of the program', async () => {
    const { err } = await type('users lst');
    assert.match(err, /^modelkeep: error: unknown command 'lst'\nmodelkeep: hint: did you mean list\?\n$/);
  });
});

describe('failures', () => {
  const refusal = (status: number, code: string) => () =>
    new ApiFailure(status, { status, code, title: 'No', detail: 'this is why' });

  for (const [status, problem, exit] of [
    [401, 'identity.unauthenticated', 4],
    [403, 'access.denied', 4],
    [404, 'identity.not_found', 1],
    [409, 'identity.name_taken', 1],
    [500, 'models.artifact_corrupt', 3],
    [500, 'audit.log_corrupt', 3],
    [507, 'storage.not_writable', 1],
  ] as const) {
    it(`exits with ${exit} on ${status} ${problem}`, async () => {
      const { code, out, err } = await type('users list', refusal(status, problem));
      assert.equal(code, exit);
      assert.equal(out, '');
      assert.match(err, new RegExp(`^modelkeep: error: (denied: )?this is why \\(${problem}\\)\n`));
    });
  }

  it('never lets an answer steer the terminal', async () => {
    const detail = 'bad\u001b]0;owned\u0007 \u001b[31mred\u202e';
    const { err } = await type('users list', () => new ApiFailure(500, { detail }));
    for (const mark of ['\u001b', '\u0007', '\u202e']) assert.ok(!err.includes(mark), JSON.stringify(err));
  });

  it('says where no keep is', async () => {
    const missing = join(home, 'nowhere');
    const { code, err } = await type('users list', undefined, { environment: { MODELKEEP_HOME: missing } });
    assert.equal(code, 1);
    assert.match(err, /there is no keep at .*nowhere\nmodelkeep: hint: make one with: modelkeep init --home/);
  });

  it('says that a file does not exist, without a stack', async () => {
    const { code, err, calls } = await type('models add missing.onnx --model fraud/score');
    assert.equal(code, 1);
    assert.equal(err, 'modelkeep: error: missing.onnx does not exist\n');
    assert.deepEqual(calls, []);
  });
});

describe('users', () => {
  it('lists them as a table', async () => {
    const { code, out } = await type('users list', () => ({ users: [ADA] }));
    assert.equal(code, 0);
    assert.equal(
      out,
      'NAME  STATE   DISPLAY  CREATED               ID\nada   active  Ada      2026-01-01T00:00:00Z  usr_1\n',
    );
  });

  it('prints the answer of the API with --json, before or after the command', async () => {
    for (const line of ['--json users list', 'users list --json']) {
      const { out, err } = await type(line, () => ({ users: [ADA] }));
      assert.deepEqual(JSON.parse(out), { users: [ADA] });
      assert.equal(err, '');
    }
  });

  it('says that there are none on stderr', async () => {
    const { out, err } = await type('users list', () => ({ users: [] }));
    assert.equal(out, '');
    assert.equal(err, 'there are no users\n');
  });

  it('reads a password from stdin and sends it in the body alone', async () => {
    const { code, out, err, calls } = await type('users create ada --password-stdin', () => ADA, {
      stdin: 'correct horse\nsecond line\n',
    });
    assert.equal(code, 0, err);
    assert.deepEqual(calls, [
      { method: 'POST', path: '/api/v1/users', body: { name: 'ada', password: 'correct horse' } },
    ]);
    assert.doesNotMatch(out + err, /horse/);
  });

  it('asks twice on the terminal, and refuses two different answers', async () => {
    const good = await type('users set-password ada', () => ADA, { answers: ['a long one', 'a long one'] });
    assert.equal(good.code, 0, good.err);
    assert.deepEqual(good.calls[0]?.body, { password: 'a long one' });
    const bad = await type('users set-password ada', () => ADA, { answers: ['a long one', 'another'] });
    assert.equal(bad.code, 1);
    assert.match(bad.err, /the two passwords differ/);
    assert.deepEqual(bad.calls, []);
  });

  it('has no option that takes a password from the command line', async () => {
    const { code } = await type('users create ada --password secret');
    assert.equal(code, 2);
  });

  it('binds a role to a new user', async () => {
    const line = 'users create ada --no-password --role ml-engineer --scope /projects/fraud';
    const { calls, err } = await type(line, () => ADA);
    assert.deepEqual(calls[1]?.body, { subject: 'user:ada', role: 'ml-engineer', scope: '/projects/fraud' });
    assert.match(err, /created user ada, ml-engineer on \/projects\/fraud/);
  });

  it('asks before deleting', async () => {
    assert.equal((await type('users delete ada', () => ADA, { answers: [false] })).calls.length, 0);
    assert.equal((await type('users delete ada', () => ADA, { answers: [true] })).calls[0]?.method, 'DELETE');
    assert.equal((await type('users delete ada --yes', () => ADA)).calls[0]?.path, '/api/v1/users/ada');
  });

  it('keeps a name in its one segment of the path', async () => {
    const { calls } = await type('users show ../../audit?x=1', () => ADA);
    assert.equal(calls[0]?.path, '/api/v1/users/..%2F..%2Faudit%3Fx%3D1');
  });
});

describe('secrets that are shown once', () => {
  const key = { id: 'key_1', owner: 'service-account:checkout', key: 'mk_0123456789_secret' };
  const create = 'api-keys create service-account:checkout';

  it('is not printed into a pipe, and no key is made', async () => {
    const { code, out, err, calls } = await type(create, () => key);
    assert.equal(code, 2);
    assert.equal(out, '');
    assert.match(err, /would be printed into a pipe\nmodelkeep: hint: write it to a file with -o FILE/);
    assert.deepEqual(calls, []);
  });

  it('is printed on a terminal, or into a pipe when asked', async () => {
    const seen = await type(create, () => key, { columns: 80 });
    assert.equal(seen.out, 'mk_0123456789_secret\n');
    const piped = await type(`${create} --show-secret --json`, () => key);
    assert.deepEqual(JSON.parse(piped.out), key);
  });

  it('goes to a new file that only the owner may read', async () => {
    const file = join(home, 'checkout.key');
    const { code, out, err } = await type(`${create} -o ${file} --json`, () => key);
    assert.equal(code, 0, err);
    assert.equal(await readFile(file, 'utf8'), 'mk_0123456789_secret\n');
    assert.equal((await stat(file)).mode & 0o777, 0o600);
    assert.doesNotMatch(out + err, /secret/);
    const again = await type(`${create} -o ${file}`, () => key);
    assert.equal(again.code, 1);
    assert.match(again.err, /already exists/);
    assert.deepEqual(again.calls, []);
  });

  it('leaves no file behind when the key was refused', async () => {
    const file = join(home, 'refused.key');
    const { code } = await type(`${create} -o ${file}`, () => new ApiFailure(403, { detail: 'no' }));
    assert.equal(code, 4);
    await assert.rejects(stat(file), { code: 'ENOENT' });
  });

  it('holds for the setup token as well', async () => {
    assert.equal((await type('init')).code, 2);
    const file = join(home, 'setup-token');
    const { code, out } = await type(`init -o ${file}`);
    assert.equal(code, 0);
    assert.match(out, /^root key +[0-9a-f]{16}$/m);
    assert.doesNotMatch(out, /mst_example/);
    assert.equal(await readFile(file, 'utf8'), 'mst_example\n');
  });
});

describe('access', () => {
  const no = { allowed: false, code: 'no_matching_binding', reason: 'no binding gives it', revision: 1 };

  it('answers can-i with a word and an exit code', async () => {
    const denied = await type('can-i model.invoke /projects/fraud', () => no);
    assert.equal(denied.code, 4);
    assert.equal(denied.out, 'no: no binding gives it\n');
    assert.equal(denied.err, '');
    const allowed = await type('can-i model.invoke', () => ({
      ...no,
      allowed: true,
      reason: 'a binding gives it',
    }));
    assert.equal(allowed.code, 0);
    assert.deepEqual(allowed.calls[0]?.body, { permission: 'model.invoke', scope: '/' });
  });

  it('tells which bindings decided, what nearly did, and who can help', async () => {
    const match = { effect: 'deny', role: 'consumer', scope: '/', via: 'group:interns', binding: 'bnd_1' };
    const { code, out } = await type('explain model.invoke /projects/fraud --subject user:bob', () => ({
      ...no,
      matched: [match],
      nearMisses: [{ kind: 'expired', hint: 'role consumer gave it until 2025' }],
      grantors: [{ id: 'usr_1', kind: 'user', name: 'ada' }],
    }));
    assert.equal(code, 4);
    assert.equal(
      out,
      [
        'no: no binding gives it',
        '  deny: group:interns has consumer on / (bnd_1)',
        '  nearly: role consumer gave it until 2025',
        '  can be given by: ada',
        '',
      ].join('\n'),
    );
  });

  it('reads every page of bindings', async () => {
    const binding = {
      id: 'bnd_1',
      subject: 'user:ada',
      role: 'admin',
      scope: '/',
      effect: 'allow',
      reason: '',
    };
    const { out, calls } = await type('bindings list --role admin --json', ({ query }) =>
      query?.['after'] === undefined
        ? { bindings: [binding], next: 'bnd_1' }
        : { bindings: [{ ...binding, id: 'bnd_2' }] },
    );
    assert.deepEqual(
      (JSON.parse(out) as { bindings: { id: string }[] }).bindings.map(({ id }) => id),
      ['bnd_1', 'bnd_2'],
    );
    assert.deepEqual(calls[1]?.query, { role: 'admin', after: 'bnd_1' });
  });

  it('takes durations for the limits of a binding', async () => {
    const line = 'bindings create group:interns consumer /projects/fraud --until 90d --deny';
    const { calls } = await type(line, () => ({ id: 'bnd_1' }));
    assert.deepEqual(calls[0]?.body, {
      subject: 'group:interns',
      role: 'consumer',
      scope: '/projects/fraud',
      effect: 'deny',
      expiresAt: '2026-04-01T00:00:00.000Z',
    });
  });

  it('keeps of a role what an update does not name', async () => {
    const role = {
      name: 'scorer',
      description: 'scores',
      permissions: ['model.invoke'],
      parents: ['viewer'],
    };
    const { calls } = await type(
      'roles update scorer --permission model.read --permission model.list',
      () => role,
    );
    assert.deepEqual(calls[1]?.body, { ...role, permissions: ['model.read', 'model.list'] });
  });
});
