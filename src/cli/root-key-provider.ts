import { readFileSync } from 'node:fs';
import type { RootKeyProvider } from '../crypto/root-key/root-key-provider.ts';
import { silentLog } from '../kernel/log.ts';
import type { CliIo } from './io.ts';

/** Lends the provider that the keep's configuration names. Nothing is asked of it unless `work` does. */
export async function withRootKeyProvider<T>(
  { io, home }: { readonly io: CliIo; readonly home: string },
  work: (provider: RootKeyProvider) => Promise<T>,
): Promise<T> {
  // Loaded when needed, so that other commands start faster.
  const [{ loadConfig }, { createSecretSource }, { createRootKeyProvider }] = await Promise.all([
    import('../config/load.ts'),
    import('../config/secret-source.ts'),
    import('../crypto/root-key/create-provider.ts'),
  ]);
  const { clock, environment, prompt } = io;
  const { rootKey } = loadConfig({
    flags: {},
    env: environment,
    homeDirectory: home,
    readFile: readIfPresent,
  });
  const provider = createRootKeyProvider(rootKey, {
    home,
    secrets: createSecretSource(environment),
    credentialsDirectory: environment['CREDENTIALS_DIRECTORY'],
    clock,
    log: silentLog,
    wait: (ms) => io.wait(ms),
    ...(prompt && { askPassphrase: (message) => prompt.password(message) }),
  });
  try {
    return await work(provider);
  } finally {
    await provider.close();
  }
}

function readIfPresent(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
