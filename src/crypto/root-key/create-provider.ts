import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { createCredentialsProvider } from './credentials-provider.ts';
import { createEnvironmentProvider } from './environment-provider.ts';
import { createFileProvider } from './file-provider.ts';
import { createPassphraseProvider } from './passphrase-provider.ts';
import { createAwsKmsWrapper } from './remote/aws-kms.ts';
import { createPkcs11Wrapper } from './remote/pkcs11.ts';
import { createRemoteProvider } from './remote/remote-provider.ts';
import type { RemoteWrapper } from './remote/remote-wrapper.ts';
import { createVaultWrapper } from './remote/vault.ts';
import { createVaultClient, type VaultLogin } from './remote/vault-client.ts';
import type { ProviderName, RootKeyDeps, RootKeyOptions } from './root-key-options.ts';
import type { RootKeyProvider } from './root-key-provider.ts';

/**
 * The provider that the configuration names. With `previousProvider`, the root key before is that provider's current one.
 * Opens and reaches nothing by itself.
 */
export function createRootKeyProvider(options: RootKeyOptions, deps: RootKeyDeps): RootKeyProvider {
  const provider = createOne(options.provider, options, deps);
  if (options.previousProvider === undefined) return provider;
  const before = createOne(options.previousProvider, options, deps);
  return {
    ...provider,
    open: async () => ({
      current: (await provider.open()).current,
      previous: async () => (await before.open()).current,
    }),
    async close() {
      await provider.close();
      await before.close();
    },
  };
}

function createOne(name: ProviderName, options: RootKeyOptions, deps: RootKeyDeps): RootKeyProvider {
  const { home, secrets, log } = deps;
  switch (name) {
    case 'file':
      return createFileProvider({ path: join(home, 'root.key') });
    case 'credentials':
      return createCredentialsProvider({ ...options.credentials, directory: deps.credentialsDirectory });
    case 'environment':
      return createEnvironmentProvider({
        ...options.environment,
        take: (variable) => secrets.take(variable),
        log,
      });
    case 'passphrase':
      return createPassphrase(options, deps);
    case 'vault':
      return createVault(options, deps);
    case 'aws-kms':
      return createAwsKms(options, deps);
    case 'pkcs11':
      return createPkcs11(options, deps);
    default:
      return name satisfies never;
  }
}

function createPassphrase({ passphrase }: RootKeyOptions, { home, secrets, askPassphrase }: RootKeyDeps) {
  const from = (reference: string | undefined, message: string) => {
    let asked: Promise<Secret<string>> | undefined;
    return async (): Promise<Secret<string>> => {
      if (reference !== undefined) return secrets.resolve(reference);
      if (askPassphrase === undefined)
        throw cryptoProblems.root_key_missing(
          'there is no terminal to ask for the passphrase on; set rootKey.passphrase.passphrase to env:NAME or file:/path',
        );
      // A person is asked once; a wrong answer may be mended by the next call.
      asked ??= askPassphrase(message);
      return asked.catch((error: unknown) => {
        asked = undefined;
        throw error;
      });
    };
  };
  const current = from(passphrase.passphrase, 'passphrase of the root key');
  const same = passphrase.previousPassphrase === undefined && passphrase.passphrase !== undefined;
  return createPassphraseProvider({
    path: join(home, 'root.params'),
    passphrase: current,
    previousPassphrase: same
      ? current
      : from(passphrase.previousPassphrase, 'passphrase of the root key before'),
  });
}

function createVault(
  { vault }: RootKeyOptions,
  { home, secrets, clock, wait }: RootKeyDeps,
): RootKeyProvider {
  const client = createVaultClient({
    address: needed('vault.address', vault.address),
    namespace: vault.namespace,
    login: vaultLogin(vault, secrets),
    certificates: async () =>
      vault.caFile === undefined
        ? undefined
        : readNamed(vault.caFile, 'rootKey.vault.caFile').then((text) => text.reveal()),
    timeoutMs: vault.timeoutMs,
    retriesMax: vault.retriesMax,
    clock,
    wait: wait ?? ((ms) => setTimeout(ms)),
  });
  const wrapper = (key: string) =>
    createVaultWrapper({ client, mount: vault.mount, key, derived: vault.derived });
  return remote(home, wrapper, needed('vault.key', vault.key), vault.previousKey);
}

function vaultLogin(vault: RootKeyOptions['vault'], secrets: RootKeyDeps['secrets']): VaultLogin {
  const kind = vault.auth;
  switch (kind) {
    case 'token': {
      const token = needed('vault.token', vault.token);
      return { kind, token: () => secrets.resolve(token) };
    }
    case 'approle': {
      const secretId = needed('vault.secretId', vault.secretId);
      return {
        kind,
        mount: vault.authMount ?? kind,
        roleId: needed('vault.roleId', vault.roleId),
        secretId: () => secrets.resolve(secretId),
      };
    }
    case 'kubernetes':
      return {
        kind,
        mount: vault.authMount ?? kind,
        role: needed('vault.role', vault.role),
        jwt: () => readNamed(vault.jwtFile, 'rootKey.vault.jwtFile'),
      };
    default:
      return kind satisfies never;
  }
}

function createAwsKms({ awsKms }: RootKeyOptions, { home, loadKms, awsCredentials }: RootKeyDeps) {
  const { region, endpoint, timeoutMs, retriesMax } = awsKms;
  const wrapper = (keyId: string) =>
    createAwsKmsWrapper({
      keyId,
      region,
      endpoint,
      timeoutMs,
      retriesMax,
      ...(awsCredentials && { credentials: awsCredentials }),
      ...(loadKms && { load: loadKms }),
    });
  return remote(home, wrapper, needed('awsKms.keyId', awsKms.keyId), awsKms.previousKeyId);
}

function createPkcs11({ pkcs11 }: RootKeyOptions, { home, secrets, loadPkcs11 }: RootKeyDeps) {
  const pin = needed('pkcs11.pin', pkcs11.pin);
  const wrapper = (keyLabel: string) =>
    createPkcs11Wrapper({
      module: needed('pkcs11.module', pkcs11.module),
      tokenLabel: needed('pkcs11.tokenLabel', pkcs11.tokenLabel),
      keyLabel,
      pin: () => secrets.resolve(pin),
      mechanism: pkcs11.mechanism,
      ...(loadPkcs11 && { load: loadPkcs11 }),
    });
  return remote(home, wrapper, needed('pkcs11.keyLabel', pkcs11.keyLabel), pkcs11.previousKeyLabel);
}

function remote(
  home: string,
  wrapperFor: (key: string) => RemoteWrapper,
  key: string,
  previousKey: string | undefined,
): RootKeyProvider {
  const wrapper = wrapperFor(key);
  const previousWrapper =
    previousKey === undefined || previousKey === key ? wrapper : wrapperFor(previousKey);
  return createRemoteProvider({ path: join(home, 'root.key.sealed'), wrapper, previousWrapper });
}

async function readNamed(path: string, key: string): Promise<Secret<string>> {
  try {
    return new Secret((await readFile(path, 'utf8')).trim());
  } catch (error) {
    throw cryptoProblems.root_key_unreachable(`${key}: "${path}" cannot be read`, { cause: error });
  }
}

/** The configuration was checked for it; a caller without one is told. */
function needed(key: string, value: string | undefined): string {
  if (value !== undefined) return value;
  throw new TypeError(`rootKey.${key} is not set`);
}
