import { readFile } from 'node:fs/promises';
import { readEnvironment } from '../config/environment.ts';
import { createEncryptionCli, ENCRYPTION_COMMANDS } from './file-encryption-cli.ts';
import { createTerminal } from './terminal.ts';
import type { CliIo } from './io.ts';
import type { KeepAccess } from './keep-client.ts';

/** Runs the command line of this process; resolves with its exit code. */
export async function runProcess(process: NodeJS.Process): Promise<number> {
  const io = createTerminal(process, readEnvironment());
  // `modelkeep audit tail | head`: the reader has what it wanted.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(0);
  });
  const argv = process.argv.slice(2);
  const version = await readVersion();
  const cli = NEEDS_NO_KEEP.has(argv[0])
    ? createEncryptionCli({ io, version })
    : (await import('./cli.ts')).createCli({ access: createLazyAccess(io), io, version });
  return cli.run(argv);
}

/** Asked for on their own, these are answered by the quick command line. */
const NEEDS_NO_KEEP: ReadonlySet<string | undefined> = new Set([...ENCRYPTION_COMMANDS, '-V', '--version']);

/** `package.json` lies two folders up, from `src/cli` as from `dist/cli`. */
async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** The server is loaded by the commands that need it: `encrypt` and `--server` start several times faster. */
function createLazyAccess(io: CliIo): KeepAccess {
  let loaded: Promise<KeepAccess> | undefined;
  const load = (): Promise<KeepAccess> => {
    loaded ??= import('../server/keep-access.ts').then(({ createKeepAccess }) => createKeepAccess(io));
    return loaded;
  };
  return {
    initKeep: async (options) => (await load()).initKeep(options),
    openClient: async (options) => (await load()).openClient(options),
    serve: async (options) => (await load()).serve(options),
    demo: async (options) => (await load()).demo(options),
  };
}
