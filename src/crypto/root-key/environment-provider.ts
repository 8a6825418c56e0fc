import type { Log } from '../../kernel/log.ts';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import { ifPresent } from './file-provider.ts';
import { READY, type RootKey, type RootKeyProvider, rootKeyOf } from './root-key-provider.ts';
import { parseRootKeyValue } from './root-key-text.ts';

export interface EnvironmentOptions {
  readonly variable: string;
  readonly previousVariable: string;
  /** Reads a variable and removes it from the environment of the process. */
  readonly take: (variable: string) => Secret<string> | undefined;
  readonly log: Log;
}

/** The root key in an environment variable. Warned about: the environment is read by more than one expects. */
export function createEnvironmentProvider({
  variable,
  previousVariable,
  take,
  log,
}: EnvironmentOptions): RootKeyProvider {
  const read = async (name: string): Promise<RootKey> => {
    const value = take(name);
    if (value === undefined) throw cryptoProblems.root_key_missing(`the variable ${name} is not set`);
    return rootKeyOf(parseRootKeyValue(value.reveal(), `the variable ${name}`));
  };
  const current = async (): Promise<RootKey> => {
    const rootKey = await read(variable);
    // A second secret must not stay behind just because nobody asks for it.
    take(previousVariable);
    log.warn('root_key.in_environment', {
      variable,
      advice: 'container inspection, /proc and the supervisor show it; prefer a file or a credential',
    });
    return rootKey;
  };
  return {
    open: async () => ({ current: await current(), previous: () => ifPresent(read(previousVariable)) }),
    initialise: current,
    describe: () => ({
      provider: 'environment',
      place: `variable ${variable}`,
      files: [],
      keep: `the value of ${variable}`,
    }),
    check: async () => READY,
    close: async () => {},
  };
}
