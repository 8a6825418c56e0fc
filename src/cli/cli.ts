import type { Command } from 'commander';
import { addAccessCommands } from './commands/access.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addGroupCommands } from './commands/groups.ts';
import { addKeepCommands } from './commands/keep.ts';
import { addKeyCommands } from './commands/api-keys.ts';
import { addKeyringCommands } from './commands/keyring.ts';
import { addModelCommands } from './commands/models.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addPredictCommand } from './commands/predict.ts';
import { addProjectCommands } from './commands/projects.ts';
import { addRootKeyCommands } from './commands/root-key.ts';
import { addUserCommands } from './commands/users.ts';
import { createContext } from './context.ts';
import { EXIT } from './failure.ts';
import { addEncryptionCommands } from './file-encryption.ts';
import type { CliIo } from './io.ts';
import type { KeepAccess } from './keep-client.ts';
import { createProgram, runProgram } from './program.ts';

export interface Cli {
  /** Runs one command line (without `node` and the script's path); resolves with the exit code, never rejects. */
  run(argv: readonly string[]): Promise<number>;
  /** The tree of commands, for the reference page. */
  readonly program: Command;
}

export interface CliParts {
  readonly access: KeepAccess;
  readonly io: CliIo;
  readonly version: string;
}

/** The command line of Modelkeep. Make one for each run: commander keeps what it parsed. */
export function createCli({ access, io, version }: CliParts): Cli {
  let exitCode: number = EXIT.ok;
  const program = createProgram(io, version);
  const context = createContext(program, {
    access,
    io,
    exitWith: (code) => {
      exitCode = code;
    },
  });
  addKeepCommands(program, context, version);
  addDoctorCommand(program, context);
  addEncryptionCommands(program, io);
  addUserCommands(program, context);
  addGroupCommands(program, context);
  addKeyCommands(program, context);
  addKeyringCommands(program, context);
  addRootKeyCommands(program, context);
  addPolicyCommands(program, context);
  addAccessCommands(program, context);
  addProjectCommands(program, context);
  addModelCommands(program, context);
  addPredictCommand(program, context);
  addAuditCommands(program, context, version);
  addConfigCommands(program, context);

  return {
    program,
    run: (argv) => runProgram(program, io, argv, () => exitCode),
  };
}
