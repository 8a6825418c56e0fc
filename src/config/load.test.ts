import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isProblem } from '../kernel/problem.ts';
import { describeConfig } from './describe.ts';
import { configJsonSchema, configKeys } from './key.ts';
import { isLoopback } from './loopback.ts';
import { loadConfig, loadConfigWithOrigins, type LoadedConfig } from './load.ts';
import { configReference } from './reference.ts';
import { resolveSecret } from './secret-reference.ts';

interface Given {
  readonly flags?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly file?: string;
}

function load({ flags = {}, env = {}, file }: Given = {}): LoadedConfig {
  return loadConfigWithOrigins({ flags, env, homeDirectory: '/keep', readFile: () => file });
}

function violationsOf(given: Given): readonly string[] {
  try {
    load(given);
  } catch (error) {
    if (!isProblem(error)) throw error;
    assert.equal(error.code, 'config.invalid');
    return error.members['violations'] as readonly string[];
  }
  return [];
}

describe('loadConfig', () => {
  it('is safe with nothing set: loopback, no TLS needed, metrics closed', () => {
    const { config, origins } = load();
    assert.deepEqual(config.listen, { host: '127.0.0.1', port: 8750 });
    assert.equal(config.metrics.public, false);
    assert.equal(config.management.listen, undefined);
    assert.deepEqual(config.trustedProxies, []);
    assert.equal(origins.size, 0);
  });

  it('prefers flags to the environment, and that to the file', () => {
    const file = 'listen:\n  host: localhost\n  port: 1\nlimits:\n  bodyBytesMax: 10\nlog: { level: warn }\n';
    const env = { MODELKEEP_LISTEN_PORT: '2', MODELKEEP_LIMITS_BODY_BYTES_MAX: '20', PATH: '/bin' };
    const { config, origins } = load({ file, env, flags: { 'listen.port': '3' } });
    assert.deepEqual([config.listen.port, config.limits.bodyBytesMax, config.log.level], [3, 20, 'warn']);
    assert.equal(origins.get('listen.port'), 'flag');
    assert.equal(origins.get('limits.bodyBytesMax'), 'MODELKEEP_LIMITS_BODY_BYTES_MAX');
    assert.equal(origins.get('log.level'), 'modelkeep.yaml:6');
    assert.equal(origins.get('listen.host'), 'modelkeep.yaml:2');
  });

  it('is frozen all the way down', () => {
    const { config } = load({ env: { MODELKEEP_TRUSTED_PROXIES: '10.0.0.0/8, ::1' } });
    assert.deepEqual(config.trustedProxies, ['10.0.0.0/8', '::1']);
    for (const part of [config, config.listen, config.limits, config.trustedProxies])
      assert.ok(Object.isFrozen(part));
  });

  it('reports every violation at once, each with where it was set', () => {
    const violations = violationsOf({
      file: 'listen:\n  port: 99999\nlimts:\n  bodyBytesMax: 1\nmetrics:\n  public: maybe\n',
      env: { MODELKEEP_LISTEN_HOTS: 'x', MODELKEEP_LOG_LEVEL: 'loud' },
      flags: { trustedProxies: 'proxy.example' },
    });
    assert.equal(violations.length, 6);
    for (const expected of [
      /^listen\.port \(modelkeep\.yaml:2\): /,
      /^modelkeep\.yaml:4: limts\.bodyBytesMax is not a configuration key; did you mean limits\.bodyBytesMax\?/,
      /^metrics\.public \(modelkeep\.yaml:6\): /,
      /^MODELKEEP_LISTEN_HOTS is not a configuration key; did you mean MODELKEEP_LISTEN_HOST\?/,
      /^log\.level \(MODELKEEP_LOG_LEVEL\): /,
      /^trustedProxies \(flag\): /,
    ]) {
      assert.ok(
        violations.some((line) => expected.test(line)),
        `${expected} in ${violations.join('\n')}`,
      );
    }
  });

  it('takes the variables of the command line, which set no key', () => {
    const env = { MODELKEEP_HOME: '/keep', MODELKEEP_API_KEY: 'k', MODELKEEP_USER: 'ada' };
    assert.deepEqual(violationsOf({ env }), []);
  });

  it('takes an empty file and an empty section', () => {
    for (const file of ['', '# nothing\n', 'limits:\n', 'limits: {}\n'])
      assert.deepEqual(violationsOf({ file }), []);
  });

  it('refuses a file that is not plain YAML of keys and values', () => {
    for (const file of ['- a\n', 'listen: [\n', 'listen:\n  port: 1\n  port: 2\n', 'a: !!js/function x\n']) {
      assert.throws(
        () => load({ file }),
        (error: unknown) => isProblem(error) && error.code.startsWith('config.'),
        file,
      );
    }
    assert.throws(
      () => loadConfig({ flags: {}, env: {}, homeDirectory: '/keep', readFile: () => assert.fail('EACCES') }),
      { code: 'config.unreadable' },
    );
  });

  it('refuses to listen beyond loopback without TLS, and says the way out', () => {
    for (const given of [
      { env: { MODELKEEP_LISTEN_HOST: '0.0.0.0' } },
      { flags: { 'listen.host': '::' } },
      { file: 'management:\n  listen: { host: 10.0.0.5, port: 9000 }\n' },
      { file: 'listen: { host: keep.example }\n' },
    ]) {
      const violations = violationsOf(given);
      assert.equal(violations.length, 1);
      assert.match(violations[0] ?? '', /--tls-cert.*terminated-upstream.*127\.0\.0\.1/);
    }
    const host = { 'listen.host': '0.0.0.0' };
    assert.deepEqual(violationsOf({ flags: host, file: 'tls: terminated-upstream\n' }), []);
    assert.deepEqual(violationsOf({ flags: { ...host, 'tls.certificate': 'a', 'tls.key': 'b' } }), []);
  });

  it('wants certificate and key together, and one end of TLS', () => {
    assert.match(violationsOf({ flags: { 'tls.key': 'k' } })[0] ?? '', /belong together/);
    const both = { 'tls.certificate': 'a', 'tls.key': 'b', 'tls.mode': 'terminated-upstream' };
    assert.match(violationsOf({ flags: both })[0] ?? '', /not both/);
  });

  it('starts relative paths of the file at the keep, and refuses a secret in place of its reference', () => {
    const { config } = load({ file: 'tls: { certificate: tls/keep.crt, key: "file:tls/keep.key" }\n' });
    assert.deepEqual([config.tls.certificate, config.tls.key], ['/keep/tls/keep.crt', '/keep/tls/keep.key']);
    const pem = '-----BEGIN PRIVATE KEY-----';
    const violations = violationsOf({ file: `tls: { certificate: a, key: "${pem}" }\n` });
    assert.match(violations.join(), /tls\.key .*expected env:NAME/);
    assert.ok(!violations.join().includes('BEGIN'));
  });
});

describe('resolveSecret', () => {
  const sources = {
    env: { KEY: 'from env' },
    readFile: (path: string) => (path === '/k' ? 'from file' : undefined),
  };

  it('reads variables and files when asked', () => {
    assert.equal(resolveSecret('env:KEY', sources).reveal(), 'from env');
    assert.equal(resolveSecret('file:/k', sources).reveal(), 'from file');
    assert.equal(resolveSecret('/k', sources).reveal(), 'from file');
  });

  it('names the reference that leads nowhere', () => {
    for (const reference of ['env:NONE', 'file:/none']) {
      assert.throws(() => resolveSecret(reference, sources), {
        code: 'config.secret_missing',
        message: /NONE|none/,
      });
    }
  });
});

describe('the reference', () => {
  it('describes every key with value and origin', () => {
    const described = describeConfig(load({ flags: { 'listen.port': '9' } }));
    assert.equal(described.length, configKeys.length);
    assert.deepEqual(described.find(({ name }) => name === 'listen.port')?.origin, 'flag');
    assert.deepEqual(described.find(({ name }) => name === 'audit.origin')?.origin, 'unset');
    assert.ok(configKeys.every(({ about }) => about.length > 10));
  });

  const stored = (name: string): string =>
    readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8');

  it('in docs/reference is the schema that the code has (scripts/write-config-reference.ts writes it)', () => {
    assert.equal(stored('config.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
    assert.equal(stored('configuration.md'), configReference());
  });

  it('in docs/reference has a row for each key and no other', () => {
    const rows = [...stored('configuration.md').matchAll(/^\| `([^`]+)` \|/gm)].map(([, name]) => name);
    assert.deepEqual(
      rows,
      configKeys.map(({ name }) => name),
    );
  });
});

describe('isLoopback', () => {
  it('knows what only this machine can reach', () => {
    for (const host of ['127.0.0.1', '127.9.9.9', '::1', 'localhost']) assert.ok(isLoopback(host), host);
    for (const host of ['0.0.0.0', '::', '10.0.0.1', 'localhost.example', '127.0.0.1.nip.io', '']) {
      assert.ok(!isLoopback(host), host);
    }
  });
});
