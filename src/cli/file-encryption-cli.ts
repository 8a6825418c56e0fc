import type { Cli, CliParts } from './cli.ts';
import { EXIT } from './failure.ts';
import { addEncryptionCommands } from './file-encryption.ts';
import { createProgram, runProgram } from './program.ts';

/** The commands of `createEncryptionCli`. */
export const ENCRYPTION_COMMANDS: ReadonlySet<string | undefined> = new Set(['encrypt', 'decrypt', 'keygen']);

/**
 * The command line with the commands alone that need no keep. They are the same as in `createCli`, and start several times
 * faster, because what the others need is not loaded.
 */
export function createEncryptionCli({ io, version }: Omit<CliParts, 'access'>): Cli {
  const program = createProgram(io, version);
  addEncryptionCommands(program, io);
  return { program, run: (argv) => runProgram(program, io, argv, () => EXIT.ok) };
}
