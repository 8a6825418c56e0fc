import assert from 'node:assert/strict';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createFakeAccess, runCli } from '../testing.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'modelkeep-cli-'));
});
afterEach(() => rm(home, { recursive: true }));

async function check(lines: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  await writeFile(join(home, 'modelkeep.yaml'), `${lines.join('\n')}\n`);
  const access = createFakeAccess(() => undefined);
  return runCli(['config', 'check'], access, { environment: { MODELKEEP_HOME: home, ...environment } });
}

const SECRET = 'hunter2-hunter2-hunter2';

describe('config check, of the secrets that are referred to', () => {
  const webhook = (secret: string): string[] => [
    'audit:',
    '  sinks:',
    '    - kind: webhook',
    '      name: siem',
    '      url: https://siem.example.com/in',
    `      secret: ${secret}`,
  ];

  it('finds them all, wherever they are named, and prints none', async () => {
    const file = join(home, 'secret');
    await writeFile(file, SECRET, { mode: 0o600 });
    const lines = [
      'tls:',
      '  certificate: keep.crt',
      '  key: secret',
      'rootKey:',
      '  provider: environment',
      '  passphrase:',
      '    previousPassphrase: file:secret',
      '  previousProvider: passphrase',
      ...webhook('env:SIEM_SECRET'),
    ];
    const environment = { SIEM_SECRET: SECRET, MODELKEEP_ROOT_KEY: SECRET };
    const sound = await check(lines, environment);
    assert.deepEqual([sound.code, sound.out, sound.err], [0, '', 'the configuration is acceptable\n']);

    await rm(file);
    const { code, out, err } = await check(lines, { SIEM_SECRET: '' });
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.equal(
      err,
      [
        'modelkeep: error: The configuration is not acceptable',
        `  tls.key (modelkeep.yaml:3): ${file} is missing, empty or not readable`,
        '  rootKey.environment.variable (default): env:MODELKEEP_ROOT_KEY is missing, empty or not readable',
        `  rootKey.passphrase.previousPassphrase (modelkeep.yaml:7): file:${file} is missing, empty or not readable`,
        '  audit.sinks[siem].secret (modelkeep.yaml:10): env:SIEM_SECRET is missing, empty or not readable (config.invalid)',
        '',
      ].join('\n'),
    );
  });

  it('fails on a file that everyone may read, and says nothing of what is in it', async () => {
    const file = join(home, 'secret');
    await writeFile(file, SECRET);
    await chmod(file, 0o644);
    const { code, out, err } = await check(webhook(`file:${file}`));
    assert.equal(code, 1);
    assert.match(err, /audit\.sinks\[siem\]\.secret \(modelkeep\.yaml:2\): file:\S+ is open to every user/);
    assert.doesNotMatch(out + err, /hunter2/);
  });

  it('asks nothing of a provider that is not used', async () => {
    const { code, err } = await check(['log:', '  level: warn']);
    assert.equal(code, 0, err);
  });
});
