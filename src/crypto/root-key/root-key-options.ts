import type { Clock } from '../../kernel/clock.ts';
import type { Log } from '../../kernel/log.ts';
import type { Secret } from '../../kernel/secret.ts';
import type { KmsPackage } from './remote/aws-kms.ts';
import type { Pkcs11Package } from './remote/pkcs11.ts';

export type ProviderName =
  | 'file'
  | 'credentials'
  | 'environment'
  | 'passphrase'
  | 'vault'
  | 'aws-kms'
  | 'pkcs11';

/** A secret in the configuration: `env:NAME` or `file:/path`. */
type Reference = string | undefined;

/** The section `rootKey` of the configuration; docs/reference/configuration.md says what each key means. */
export interface RootKeyOptions {
  readonly provider: ProviderName;
  readonly previousProvider?: ProviderName | undefined;
  readonly credentials: { readonly name: string; readonly previousName: string };
  readonly environment: { readonly variable: string; readonly previousVariable: string };
  readonly passphrase: { readonly passphrase?: Reference; readonly previousPassphrase?: Reference };
  readonly vault: {
    readonly address?: string | undefined;
    readonly namespace?: string | undefined;
    readonly mount: string;
    readonly key?: string | undefined;
    readonly previousKey?: string | undefined;
    readonly derived: boolean;
    readonly auth: 'token' | 'approle' | 'kubernetes';
    readonly authMount?: string | undefined;
    readonly token?: Reference;
    readonly roleId?: string | undefined;
    readonly secretId?: Reference;
    readonly role?: string | undefined;
    readonly jwtFile: string;
    readonly caFile?: string | undefined;
    readonly timeoutMs: number;
    readonly retriesMax: number;
  };
  readonly awsKms: {
    readonly keyId?: string | undefined;
    readonly previousKeyId?: string | undefined;
    readonly region?: string | undefined;
    readonly endpoint?: string | undefined;
    readonly timeoutMs: number;
    readonly retriesMax: number;
  };
  readonly pkcs11: {
    readonly module?: string | undefined;
    readonly tokenLabel?: string | undefined;
    readonly keyLabel?: string | undefined;
    readonly previousKeyLabel?: string | undefined;
    readonly pin?: Reference;
    readonly mechanism: 'aes-gcm' | 'aes-key-wrap-pad';
  };
}

export interface RootKeyDeps {
  /** The keep's directory. */
  readonly home: string;
  readonly secrets: {
    /** What a reference leads to, without a line end. Throws if it leads nowhere. */
    resolve(reference: string): Secret<string>;
    /** A variable's value, removed from the environment of the process. */
    take(variable: string): Secret<string> | undefined;
  };
  /** `$CREDENTIALS_DIRECTORY`. */
  readonly credentialsDirectory: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Asks the person at the terminal, if there is one. */
  readonly askPassphrase?: (message: string) => Promise<Secret<string>>;
  /** Waits between attempts. Without it, a timer. */
  readonly wait?: (ms: number) => Promise<void>;
  /** Of packages that are not installed with Modelkeep. */
  readonly loadKms?: () => Promise<KmsPackage>;
  readonly loadPkcs11?: () => Promise<Pkcs11Package>;
  /** Without them, the AWS SDK's own search. */
  readonly awsCredentials?: { readonly accessKeyId: string; readonly secretAccessKey: string };
}
