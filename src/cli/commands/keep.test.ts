import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, it } from 'node:test';
import type { DemoOptions, ServeOptions } from '../keep-client.ts';
import { type Answers, createFakeAccess, runCli, type TestIoOptions } from '../testing.ts';

const DAY_MS = 86_400_000;
/** Where the clock of the test process stands. */
const NOW = Date.UTC(2026, 0, 1);

let home: string;

/** A directory that looks like a sound keep from outside. */
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
  await writeFile(join(home, 'root.key'), 'AGE-SECRET-KEY-1', { mode: 0o600 });
  await utimes(join(home, 'root.key'), new Date(NOW), new Date(NOW - 10 * DAY_MS));
  await writeFile(join(home, 'keyring.age'), 'age', { mode: 0o600 });
  const database = new DatabaseSync(join(home, 'modelkeep.db'));
  database.exec(
    'pragma journal_mode = wal; create table t (a integer primary key) strict; insert into t values (1)',
  );
  database.close();
});

const sound: Answers = ({ path }) => {
  if (path === '/api/v1/audit/verify') return { ok: true, size: 41, problems: [] };
  if (path === '/api/v1/keys') return { keys: [] };
  if (path === '/api/v1/models/stray-blobs') return { blobs: [] };
  return { keys: [{ id: 'key_1', revokedAt: null, expiresAt: new Date(NOW + 90 * DAY_MS).toISOString() }] };
};

async function type(line: string, answers: Answers = sound, options: TestIoOptions = {}) {
  const access = createFakeAccess(answers);
  return runCli(line.split(' '), access, { environment: { MODELKEEP_HOME: home }, ...options });
}

describe('doctor', () => {
  it('finds nothing wrong with a sound keep', async () => {
    const { code, out, err } = await type('doctor');
    assert.equal(
      out,
      [
        '✓ ok       file permissions: only the owner can enter the keep',
        '✓ ok       root key: 10 days old',
        '✓ ok       database: sound',
        '✓ ok       API keys: 1 in use',
        '✓ ok       key ring: 0 in use',
        '✓ ok       stored models: every blob belongs to a version',
        '✓ ok       audit log: 41 entries verify',
        '',
      ].join('\n'),
    );
    assert.equal(err, '');
    assert.equal(code, 0);
  });

  it('fails on a root key that others may read, and says how to mend it', async () => {
    await chmod(join(home, 'root.key'), 0o644);
    const { code, out, err } = await type('doctor');
    assert.equal(code, 1);
    assert.match(out, /✗ failed {3}file permissions: root\.key has mode 0644\n/);
    assert.match(err, /hint: chmod -R go= /);
  });

  it('warns of an old root key and of keys that expire, without failing', async () => {
    await utimes(join(home, 'root.key'), new Date(NOW), new Date(NOW - 400 * DAY_MS));
    const key = (id: string, days: number | null) => ({
      id,
      revokedAt: null,
      expiresAt: days === null ? null : new Date(NOW + days * DAY_MS).toISOString(),
    });
    const keys = [key('key_old', -1), key('key_soon', 3), key('key_fine', 30), key('key_forever', null)];
    const { code, out } = await type('doctor', (call) =>
      call.path === '/api/v1/api-keys' ? { keys } : sound(call),
    );
    assert.equal(code, 0);
    assert.match(out, /! warning {2}root key: 400 days old, more than 365\n/);
    assert.match(
      out,
      /! warning {2}API keys: expired: key_old; expire within 14 days: key_soon; never expire: key_forever\n/,
    );
  });

  it('warns of stored blobs that no version names', async () => {
    const blob = { name: 'ab', bytes: 1024, modifiedAt: '2026-01-01T00:00:00.000Z', removable: true };
    const { code, out, err } = await type('doctor', (call) =>
      call.path === '/api/v1/models/stray-blobs' ? { blobs: [blob] } : sound(call),
    );
    assert.equal(code, 0);
    assert.match(out, /! warning {2}stored models: no version names 1 blob, 1\.0 KiB\n/);
    assert.match(err, /hint: modelkeep models stray-blobs --remove\n/);
  });

  it('fails on a damaged database', async () => {
    await writeFile(join(home, 'modelkeep.db'), 'not a database at all'.repeat(50));
    const { code, out } = await type('doctor');
    assert.equal(code, 1);
    assert.match(out, /✗ failed {3}database: /);
  });

  it('fails on a log that does not verify, as JSON too', async () => {
    const broken: Answers = (call) =>
      call.path === '/api/v1/audit/verify'
        ? { ok: false, size: 41, problems: [{ message: 'entry 7 does not match' }] }
        : sound(call);
    const { code, out } = await type('doctor --json', broken);
    assert.equal(code, 1);
    const { checks } = JSON.parse(out) as { checks: { check: string; state: string; detail: string }[] };
    assert.deepEqual(checks.at(-1), {
      check: 'audit log',
      state: 'failed',
      detail: 'entry 7 does not match',
    });
  });
});

describe('init', () => {
  it('writes a configuration that explains every setting and sets none', async () => {
    const { code, err } = await type(`init -o ${join(home, 'token')}`);
    assert.equal(code, 0, err);
    const path = join(home, 'modelkeep.yaml');
    assert.match(await readFile(path, 'utf8'), /^#listen:\n# {2}# .+\n# {2}host: 127\.0\.0\.1$/m);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const check = await type('config check');
    assert.equal(check.code, 0, check.err);
    assert.match((await type('config show')).out, /^listen\.port +8750 +default$/m);
  });

  it('leaves a configuration alone that is there already', async () => {
    const path = join(home, 'modelkeep.yaml');
    await writeFile(path, 'listen:\n  port: 9000\n');
    assert.equal((await type(`init -o ${join(home, 'token')}`)).code, 0);
    assert.equal(await readFile(path, 'utf8'), 'listen:\n  port: 9000\n');
  });
});

describe('setup', () => {
  it('sends the token and the password in the body, and prints neither', async () => {
    const token = join(home, 'token');
    await writeFile(token, 'mst_once\n', { mode: 0o600 });
    const seen: unknown[] = [];
    const { code, out, err } = await type(
      `setup ada --token-file ${token} --password-stdin`,
      (call) => {
        seen.push(call.path, call.body);
        return { user: { name: 'ada' } };
      },
      { stdin: 'a long password' },
    );
    assert.equal(code, 0, err);
    assert.deepEqual(seen, [
      '/api/v1/setup',
      { token: 'mst_once', name: 'ada', password: 'a long password' },
    ]);
    assert.doesNotMatch(out + err, /mst_once|a long password/);
  });
});

describe('serve and demo', () => {
  it('turns flags of serve into configuration keys', async () => {
    let seen: ServeOptions | undefined;
    const access = {
      ...createFakeAccess(() => undefined),
      serve(options: ServeOptions) {
        seen = options;
        return Promise.resolve(0);
      },
    };
    const line = '--host 0.0.0.0 --port 8443 --tls-cert c.pem --tls-key k.pem --home';
    assert.equal((await runCli(['serve', ...line.split(' '), home], access)).code, 0);
    assert.equal(seen?.home, home);
    assert.deepEqual(seen?.flags, {
      'listen.host': '0.0.0.0',
      'listen.port': '8443',
      'tls.certificate': 'c.pem',
      'tls.key': 'k.pem',
    });
  });

  it('hands on the exit code of the demo', async () => {
    let seen: DemoOptions | undefined;
    const access = {
      ...createFakeAccess(() => undefined),
      demo(options: DemoOptions) {
        seen = options;
        return Promise.resolve(3);
      },
    };
    assert.equal((await runCli(['demo', '--exit', '--port', '0'], access)).code, 3);
    assert.equal(seen?.home, undefined);
    assert.equal(seen?.exit, true);
    assert.equal(seen?.port, 0);
  });
});

describe('config', () => {
  it('reports all that is wrong, one a line, and names where it stands', async () => {
    await writeFile(join(home, 'modelkeep.yaml'), 'listen:\n  port: 99999\n  hosst: x\n');
    const { code, out, err } = await type('config check');
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.match(
      err,
      /^modelkeep: error: The configuration is not acceptable\n {2}.*hosst.*\n {2}.*port.*\(config\.invalid\)\n$/s,
    );
  });

  it('shows each value with its origin', async () => {
    await writeFile(join(home, 'modelkeep.yaml'), 'listen:\n  port: 9000\n');
    const environment = { MODELKEEP_HOME: home, MODELKEEP_LOG_LEVEL: 'warn' };
    const { code, out, err } = await type('config show', sound, { environment });
    assert.equal(code, 0, err);
    assert.match(out, /^listen\.port +9000 +modelkeep\.yaml:2$/m);
    assert.match(out, /^log\.level +warn +MODELKEEP_LOG_LEVEL$/m);
    assert.match(out, /^listen\.host +127\.0\.0\.1 +default$/m);
  });

  it('prints a JSON Schema', async () => {
    const { out } = await type('config schema');
    assert.equal((JSON.parse(out) as { title: string }).title, 'modelkeep.yaml');
  });
});

describe('version', () => {
  it('is printed plain and as JSON', async () => {
    assert.equal((await type('version')).out, '1.2.3\n');
    assert.equal((await type('--version')).out, '1.2.3\n');
    assert.deepEqual(JSON.parse((await type('version --json')).out), { version: '1.2.3' });
  });
});
