import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createRootKeyProvider } from '../crypto/root-key/create-provider.ts';
import type { RootKeyOptions } from '../crypto/root-key/root-key-options.ts';
import { testDeps } from '../crypto/root-key/testing.ts';
import { isProblem } from '../kernel/problem.ts';
import { loadConfig } from './load.ts';

const VAULT = 'provider: vault, vault: { address: "https://vault.example:8200", key: modelkeep';

describe('rootKey', () => {
  it('is a file unless something else is said', () => {
    assert.equal(rootKey('').provider, 'file');
  });

  it('is what the providers are made from, each with its keys', () => {
    for (const [text, place] of [
      ['{ provider: file }', '/keep/root.key'],
      ['{ provider: credentials, credentials: { name: keep-root } }', 'credential keep-root'],
      ['{ provider: environment, environment: { variable: ROOT } }', 'variable ROOT'],
      ['{ provider: passphrase, passphrase: { passphrase: "env:PHRASE" } }', '/keep/root.params'],
      [`{ ${VAULT}, token: "file:run/token" } }`, 'transit/modelkeep'],
      [`{ ${VAULT}, auth: approle, roleId: r, secretId: "env:SECRET_ID" } }`, 'transit/modelkeep'],
      [`{ ${VAULT}, auth: kubernetes, role: keep } }`, 'transit/modelkeep'],
      ['{ provider: aws-kms, awsKms: { keyId: alias/modelkeep, region: eu-central-1 } }', 'alias/modelkeep'],
      [
        '{ provider: pkcs11, pkcs11: { module: /lib/p11.so, tokenLabel: keep, keyLabel: root, pin: "file:pin" } }',
        'aes-gcm:keep/root',
      ],
    ] as const) {
      const options: RootKeyOptions = rootKey(text);
      assert.equal(createRootKeyProvider(options, testDeps('/keep')).describe().place, place);
    }
  });

  it('starts the files of references at the keep', () => {
    assert.equal(rootKey(`{ ${VAULT}, token: "file:run/token" } }`).vault.token, 'file:/keep/run/token');
    const { passphrase } = rootKey('{ provider: passphrase, passphrase: { passphrase: "env:PHRASE" } }');
    assert.equal(passphrase.passphrase, 'env:PHRASE');
  });

  it('refuses a secret in place of its reference, without quoting it', () => {
    for (const secret of ['seven small owls', '/run/passphrase', 'env:not a name', 'hvs.token']) {
      const found = violations(`{ provider: passphrase, passphrase: { passphrase: "${secret}" } }`);
      assert.match(found.join(), /rootKey\.passphrase\.passphrase .*expected env:NAME or file:/);
      assert.ok(!found.join().includes(secret));
    }
  });

  it('names the keys that a provider lacks', () => {
    for (const [text, keys] of [
      ['{ provider: vault }', ['vault.address', 'vault.key', 'vault.token']],
      [`{ ${VAULT}, auth: approle } }`, ['vault.roleId', 'vault.secretId']],
      [`{ ${VAULT}, auth: kubernetes } }`, ['vault.role']],
      ['{ provider: aws-kms }', ['awsKms.keyId']],
      ['{ provider: pkcs11 }', ['pkcs11.module', 'pkcs11.tokenLabel', 'pkcs11.keyLabel', 'pkcs11.pin']],
      ['{ provider: file, previousProvider: aws-kms }', ['awsKms.keyId']],
    ] as const) {
      const found = violations(text);
      assert.deepEqual(
        found.map((line) => /^rootKey\.(\S+): the provider/.exec(line)?.[1]),
        keys,
      );
    }
  });

  it('refuses keys of a provider that is not used, other keys, and a previous provider that is the same', () => {
    assert.match(violations('{ vault: { key: k } }').join(), /rootKey\.vault: it is set, but .* is file/);
    assert.match(violations('{ vaults: { key: k } }').join(), /did you mean rootKey\.vault\.key\?/);
    assert.match(violations('{ previousProvider: file }').join(), /the provider itself/);
    assert.deepEqual(violations('{ provider: environment, previousProvider: file }'), []);
  });

  it('refuses an address that would carry the key in clear, and one with a password in it', () => {
    const at = (address: string) =>
      violations(`{ provider: vault, vault: { address: "${address}", key: k, token: "env:T" } }`).join();
    for (const address of [
      'http://127.0.0.1:8200',
      'http://[::1]:8200',
      'https://v.example',
      'https://v.example/sub',
    ])
      assert.equal(at(address), '', address);
    for (const address of ['http://vault.example', 'http://10.0.0.1:8200', 'http://localhost.example'])
      assert.match(at(address), /in clear/, address);
    for (const address of ['https://u:p@v.example', 'ftp://v.example', 'v.example', 'https://v.example/?x=1'])
      assert.match(at(address), /expected http/, address);
  });

  it('refuses paths and names that could lead elsewhere', () => {
    for (const text of [
      '{ provider: credentials, credentials: { name: ../root.key } }',
      `{ ${VAULT}, token: "env:T", mount: "../sys" } }`,
      '{ provider: vault, vault: { address: "https://v", token: "env:T", key: "a/../b" } }',
      '{ provider: environment, environment: { variable: "A B" } }',
    ]) {
      assert.equal(violations(text).length, 1, text);
    }
  });

  it('the variables of a root key itself set no key', () => {
    const env = {
      MODELKEEP_ROOT_KEY: 'the key',
      MODELKEEP_ROOT_KEY_PREVIOUS: 'the key',
      MODELKEEP_ROOT_KEY_PROVIDER: 'environment',
    };
    const { rootKey: section } = loadConfig({
      flags: {},
      env,
      homeDirectory: '/keep',
      readFile: () => undefined,
    });
    assert.equal(section.provider, 'environment');
    assert.ok(!JSON.stringify(section).includes('the key'));
  });
});

function rootKey(text: string) {
  const readFile = () => (text === '' ? undefined : `rootKey: ${text}\n`);
  return loadConfig({ flags: {}, env: {}, homeDirectory: '/keep', readFile }).rootKey;
}

function violations(text: string): readonly string[] {
  try {
    rootKey(text);
    return [];
  } catch (error) {
    if (!isProblem(error)) throw error;
    return error.members['violations'] as readonly string[];
  }
}
