import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { cryptoProblems } from '../problems.ts';
import { ifPresent } from './file-provider.ts';
import { octal, readPrivateFile } from './private-file.ts';
import { READY, type RootKey, type RootKeyProvider, rootKeyOf } from './root-key-provider.ts';
import { parseRootKeyValue } from './root-key-text.ts';

export interface CredentialsOptions {
  /** `$CREDENTIALS_DIRECTORY`, which systemd sets for a service that loads credentials. */
  readonly directory: string | undefined;
  readonly name: string;
  readonly previousName: string;
}

const BYTES_MAX = 4096;

/** The root key as a systemd credential (systemd.exec(5), LoadCredential, LoadCredentialEncrypted). */
export function createCredentialsProvider({
  directory,
  name,
  previousName,
}: CredentialsOptions): RootKeyProvider {
  const read = async (credential: string): Promise<RootKey> => {
    if (directory === undefined || !directory.startsWith('/'))
      throw cryptoProblems.root_key_missing(
        'CREDENTIALS_DIRECTORY is not set; name the credential in the unit with LoadCredential= or LoadCredentialEncrypted=',
      );
    const path = join(directory, credential);
    const text = await readPrivateFile({
      path,
      bytesMax: BYTES_MAX,
      what: 'credential',
      check: checkCredential,
    });
    if (text === undefined)
      throw cryptoProblems.root_key_malformed(`the credential "${credential}" is too large`);
    return rootKeyOf(parseRootKeyValue(text, `the credential "${credential}"`));
  };
  return {
    async open() {
      return { current: await read(name), previous: () => ifPresent(read(previousName)) };
    },
    initialise: () => read(name),
    describe: () => ({
      provider: 'credentials',
      place: `credential ${name}`,
      files: [],
      keep: `the credential ${name}`,
    }),
    async check() {
      try {
        await read(name);
        return READY;
      } catch {
        return { ready: false, reasons: ['the credential with the root key is missing or not acceptable'] };
      }
    },
    close: async () => {},
  };
}

/**
 * systemd leaves a credential with root and admits the service by an access list, whose mask shows as the group's bits: mode
 * 0440 is what a private one looks like.
 */
function checkCredential(path: string, { uid, mode }: Stats): void {
  if (uid !== 0 && uid !== process.geteuid?.())
    throw cryptoProblems.root_key_exposed(`"${path}" belongs to another user`);
  if ((mode & 0o027) !== 0)
    throw cryptoProblems.root_key_exposed(`"${path}" is open to other users (mode ${octal(mode)})`);
}
