import { z } from 'zod';
import { isLoopback } from './loopback.ts';

/** The section `rootKey`: where the key that opens the key ring comes from. */

const PROVIDERS = ['file', 'credentials', 'environment', 'passphrase', 'vault', 'aws-kms', 'pkcs11'] as const;

/** Explicit, unlike `tls.key`: a passphrase typed in place of its reference would pass for a path. */
const secretReference = (about: string) =>
  z
    .string()
    .regex(/^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:[^\n]+)$/, 'expected env:NAME or file:/path')
    .optional()
    .describe(`${about}: \`env:NAME\` or \`file:/path\`.`);
const absolutePath = z.string().regex(/^\/[^\n\0]*$/, 'expected an absolute path');
const fileName = z.string().regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}$/, 'expected a file name, not a path');
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'expected the name of a variable');
const vaultPath = z
  .string()
  .regex(
    /^[A-Za-z0-9_-]+(?:\/[A-Za-z0-9_-]+)*$/,
    'expected letters, digits, _ and -, in parts separated by /',
  );
const vaultKey = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, 'expected letters, digits, _ . and -');
const kmsKey = z.string().regex(/^[A-Za-z0-9:/_-]{1,2048}$/, 'expected a key id, an alias or an ARN');
const label = z.string().regex(/^[^\0\n]{1,64}$/, 'expected 1 to 64 characters');
const url = z
  .string()
  .regex(/^https?:\/\/[^\s/?#@]+(?:\/[^\s?#]*)?$/, 'expected http(s)://host, without credentials or query');
const timeoutMs = z
  .int()
  .min(100)
  .max(60_000)
  .default(5_000)
  .describe('Longest wait for one answer, milliseconds.');
const retriesMax = z
  .int()
  .min(0)
  .max(10)
  .default(4)
  .describe('How often a request that found the service overloaded, sealed or out of reach is repeated.');

export const rootKeySchema = z
  .strictObject({
    provider: z
      .enum(PROVIDERS)
      .default('file')
      .describe(
        'Where the root key is: one of `file` (`root.key` in the keep), '.concat(
          PROVIDERS.slice(1)
            .map((name) => `\`${name}\``)
            .join(', '),
          '.',
        ),
      ),
    previousProvider: z
      .enum(PROVIDERS)
      .optional()
      .describe('The provider before this one. Its root key opens the key ring once more, to move it over.'),
    credentials: z
      .strictObject({
        name: fileName.default('root.key').describe('Name of the credential in `$CREDENTIALS_DIRECTORY`.'),
        previousName: fileName
          .default('root.key.previous')
          .describe('Name of the credential before; it need not exist.'),
      })
      .prefault({}),
    environment: z
      .strictObject({
        variable: variable
          .default('MODELKEEP_ROOT_KEY')
          .describe('The variable that holds the root key. It is removed from the environment once read.'),
        previousVariable: variable
          .default('MODELKEEP_ROOT_KEY_PREVIOUS')
          .describe('The variable of the root key before; it need not be set.'),
      })
      .prefault({}),
    passphrase: z
      .strictObject({
        passphrase: secretReference('Where the passphrase is; absent: it is asked for on the terminal'),
        previousPassphrase: secretReference('Where the passphrase before is; absent: it did not change'),
      })
      .prefault({}),
    vault: z
      .strictObject({
        address: url.optional().describe('Address of Vault or OpenBao. Beyond loopback only `https://`.'),
        namespace: vaultPath.optional().describe('Namespace, sent with every request.'),
        mount: vaultPath.default('transit').describe('Mount path of the transit engine.'),
        key: vaultKey.optional().describe('Name of the transit key.'),
        previousKey: vaultKey.optional().describe('Name of the transit key before; absent: the same.'),
        derived: z
          .boolean()
          .default(false)
          .describe(
            'The key is a derived one: what is wrapped is bound by `context` instead of `associated_data`.',
          ),
        auth: z
          .enum(['token', 'approle', 'kubernetes'])
          .default('token')
          .describe('How to log in: `token`, `approle` or `kubernetes`.'),
        authMount: vaultPath.optional().describe('Mount path of the login method; absent: its own name.'),
        token: secretReference('Where the token is, for `token`. A file is read anew for each request'),
        roleId: z.string().min(1).max(256).optional().describe('Role id, for `approle`.'),
        secretId: secretReference('Where the secret id is, for `approle`'),
        role: vaultKey.optional().describe('Role, for `kubernetes`.'),
        jwtFile: absolutePath
          .default('/var/run/secrets/kubernetes.io/serviceaccount/token')
          .describe('The token of the service account, for `kubernetes`.'),
        caFile: absolutePath
          .optional()
          .describe('Certificates to trust instead of those the system trusts. PEM.'),
        timeoutMs,
        retriesMax,
      })
      .prefault({}),
    awsKms: z
      .strictObject({
        keyId: kmsKey.optional().describe('Key id, alias (`alias/NAME`) or ARN of a symmetric key.'),
        previousKeyId: kmsKey.optional().describe('The key before; absent: the same.'),
        region: z
          .string()
          .regex(/^[a-z0-9-]{1,32}$/, 'expected a region such as eu-central-1')
          .optional()
          .describe('Region; absent: as the AWS SDK finds it.'),
        endpoint: url.optional().describe('Another endpoint than the public one of the region.'),
        timeoutMs,
        retriesMax,
      })
      .prefault({}),
    pkcs11: z
      .strictObject({
        module: absolutePath.optional().describe('Path of the PKCS#11 library.'),
        tokenLabel: label.optional().describe('Label of the token.'),
        keyLabel: label.optional().describe('Label of the AES key on the token.'),
        previousKeyLabel: label.optional().describe('Label of the key before; absent: the same.'),
        pin: secretReference('Where the PIN is'),
        mechanism: z
          .enum(['aes-gcm', 'aes-key-wrap-pad'])
          .default('aes-gcm')
          .describe('How the token wraps: `aes-gcm` or `aes-key-wrap-pad`.'),
      })
      .prefault({}),
  })
  .prefault({});

type RootKeyConfig = z.output<typeof rootKeySchema>;
type Provider = (typeof PROVIDERS)[number];

const SECTIONS: ReadonlyMap<Provider, string> = new Map([
  ['credentials', 'credentials'],
  ['environment', 'environment'],
  ['passphrase', 'passphrase'],
  ['vault', 'vault'],
  ['aws-kms', 'awsKms'],
  ['pkcs11', 'pkcs11'],
]);

/** What the section's keys alone cannot show. `isSet` tells whether a key was given, by its dotted name. */
export function rootKeyContradictions(
  config: RootKeyConfig,
  isSet: (prefix: string) => boolean,
): readonly string[] {
  const found: string[] = [];
  const { provider, previousProvider, vault } = config;
  const used = [provider, ...(previousProvider === undefined ? [] : [previousProvider])];
  if (previousProvider === provider) {
    found.push(
      'rootKey.previousProvider: it is the provider itself; each provider has a slot for the key before',
    );
  }
  for (const [name, section] of SECTIONS) {
    if (!used.includes(name) && isSet(`rootKey.${section}.`)) {
      found.push(`rootKey.${section}: it is set, but rootKey.provider is ${provider}`);
    }
  }
  for (const name of used) {
    for (const key of missingKeys(config, name)) found.push(`rootKey.${key}: the provider ${name} needs it`);
  }
  for (const [name, address] of [
    ['vault.address', vault.address],
    ['awsKms.endpoint', config.awsKms.endpoint],
  ] as const) {
    if (address === undefined || address.startsWith('https:') || isLoopback(hostOf(address))) continue;
    found.push(
      `rootKey.${name}: beyond loopback the root key would cross the network in clear; use https://`,
    );
  }
  return found;
}

function missingKeys({ vault, awsKms, pkcs11 }: RootKeyConfig, provider: Provider): readonly string[] {
  const LOGIN = {
    token: { token: vault.token },
    approle: { roleId: vault.roleId, secretId: vault.secretId },
    kubernetes: { role: vault.role },
  };
  const needed: Partial<Record<Provider, Readonly<Record<string, unknown>>>> = {
    vault: prefixed('vault', { address: vault.address, key: vault.key, ...LOGIN[vault.auth] }),
    'aws-kms': prefixed('awsKms', { keyId: awsKms.keyId }),
    pkcs11: prefixed('pkcs11', {
      module: pkcs11.module,
      tokenLabel: pkcs11.tokenLabel,
      keyLabel: pkcs11.keyLabel,
      pin: pkcs11.pin,
    }),
  };
  return Object.entries(needed[provider] ?? {})
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
}

function prefixed(section: string, keys: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).map(([name, value]) => [`${section}.${name}`, value]));
}

function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).hostname.replace(/^\[(.*)\]$/, '$1') : '';
}
