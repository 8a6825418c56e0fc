import type * as Kms from '@aws-sdk/client-kms';
import { cryptoProblems } from '../../problems.ts';
import { loadOptionalPackage } from './optional-package.ts';
import type { RemoteWrapper } from './remote-wrapper.ts';

/** What is used of `@aws-sdk/client-kms`. */
export type KmsPackage = Pick<typeof Kms, 'KMSClient' | 'EncryptCommand' | 'DecryptCommand'>;

export interface AwsKmsOptions {
  readonly keyId: string;
  readonly region: string | undefined;
  readonly endpoint: string | undefined;
  readonly timeoutMs: number;
  readonly retriesMax: number;
  /** Without them, the SDK's own search: variables, profile, web identity, instance role. */
  readonly credentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Of `@aws-sdk/client-kms`, which is loaded on first use. */
  readonly load?: () => Promise<KmsPackage>;
}

/** A symmetric key of AWS KMS. The context is its encryption context, which CloudTrail shows. */
export function createAwsKmsWrapper(options: AwsKmsOptions): RemoteWrapper {
  const { keyId, region, endpoint, credentials, timeoutMs, retriesMax } = options;
  let opened: Promise<{ readonly kms: KmsPackage; readonly client: Kms.KMSClient }> | undefined;
  const open = () => {
    opened ??= loadOptionalPackage('@aws-sdk/client-kms', options.load ?? loadKms).then((kms) => ({
      kms,
      client: new kms.KMSClient({
        ...(region === undefined ? {} : { region }),
        ...(endpoint === undefined ? {} : { endpoint }),
        ...(credentials === undefined ? {} : { credentials }),
        maxAttempts: retriesMax + 1,
        requestHandler: {
          connectionTimeout: timeoutMs,
          requestTimeout: timeoutMs,
          throwOnRequestTimeout: true,
        },
      }),
    }));
    return opened;
  };

  return {
    provider: 'aws-kms',
    keyId,
    async wrap(plaintext, context) {
      const { kms, client } = await open();
      const command = new kms.EncryptCommand({
        KeyId: keyId,
        Plaintext: plaintext,
        EncryptionContext: { ...context },
      });
      const { CiphertextBlob } = await client.send(command).catch(explain);
      return CiphertextBlob ?? nothing();
    },
    async unwrap(ciphertext, context) {
      const { kms, client } = await open();
      // With KeyId, KMS refuses what another key wrapped instead of choosing the key by the ciphertext.
      const command = new kms.DecryptCommand({
        KeyId: keyId,
        CiphertextBlob: ciphertext,
        EncryptionContext: { ...context },
      });
      const { Plaintext } = await client.send(command).catch(explain);
      return Plaintext ?? nothing();
    },
    async close() {
      if (opened === undefined) return;
      const { client } = await opened;
      client.destroy();
      opened = undefined;
    },
  };
}

const loadKms = (): Promise<KmsPackage> => import('@aws-sdk/client-kms');

/** Failures of the service itself; a later attempt may succeed. */
const PASSING: ReadonlySet<string> = new Set([
  'DependencyTimeoutException',
  'KMSInternalException',
  'KeyUnavailableException',
  'ThrottlingException',
  'LimitExceededException',
  'ServiceUnavailable',
]);

function explain(error: unknown): never {
  const { name, $metadata, $fault } = error as Error & {
    readonly $metadata?: { readonly httpStatusCode?: number };
    readonly $fault?: string;
  };
  const answered = $metadata?.httpStatusCode !== undefined && $fault === 'client' && !PASSING.has(name);
  if (answered || name === 'CredentialsProviderError')
    throw cryptoProblems.root_key_refused(`AWS KMS refused (${name})`, { cause: error });
  throw cryptoProblems.root_key_unreachable(`AWS KMS does not serve (${name})`, { cause: error });
}

function nothing(): never {
  throw cryptoProblems.root_key_refused('AWS KMS answered with something else than was asked for');
}
