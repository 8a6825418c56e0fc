import { Command, CommanderError } from 'commander';
import { addAccessCommands } from './commands/access.ts';
import { addAuditCommands } from './commands/audit.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addGroupCommands } from './commands/groups.ts';
import { addKeepCommands } from './commands/keep.ts';
import { addKeyCommands } from './commands/api-keys.ts';
import { addModelCommands } from './commands/models.ts';
import { addPolicyCommands } from './commands/policy.ts';
import { addPredictCommand } from './commands/predict.ts';
import { addProjectCommands } from './commands/projects.ts';
import { addUserCommands } from './commands/users.ts';
import { createContext, type GlobalOptions } from './context.ts';
import { EXIT, reportOf } from './failure.ts';
import { addEncryptionCommands } from './file-encryption.ts';
import type { CliIo } from './io.ts';
import type { KeepAccess } from './keep-client.ts';
import { createOutput } from './output.ts';

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
  addPolicyCommands(program, context);
  addAccessCommands(program, context);
  addProjectCommands(program, context);
  addModelCommands(program, context);
  addPredictCommand(program, context);
  addAuditCommands(program, context);
  addConfigCommands(program, context);

  return {
    program,
    async run(argv) {
      try {
        await program.parseAsync(argv, { from: 'user' });
        return exitCode;
      } catch (error) {
        const report = reportOf(error);
        // Commander prints its own complaints.
        if (!(error instanceof CommanderError)) {
          const output = createOutput(io, () => program.opts<GlobalOptions>().json === true);
          output.fail(report);
        }
        return report.exitCode;
      }
    },
  };
}

function createProgram(io: CliIo, version: string): Command {
  return new Command('modelkeep')
    .description(
      'Modelkeep serves machine-learning models behind authentication, authorization, encryption and a tamper-evident audit log.',
    )
    .option('--home <dir>', 'directory of the keep (default: MODELKEEP_HOME, else ./keep)')
    .option(
      '--server <url>',
      'a running server elsewhere: https, or http on this machine (default: MODELKEEP_SERVER)',
    )
    .option('--json', 'print results as JSON')
    .version(version, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'show the manual of a command')
    .helpOption('-h, --help', 'show this manual')
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, helpWidth: io.columns ?? 100 })
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.columns ?? 100,
      getErrHelpWidth: () => io.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => write(complaint(text)),
    })
    .addHelpText('after', MANUAL);
}

/** Commander's `error: unknown option '--x'` + `(Did you mean --y?)`, in our form. */
function complaint(text: string): string {
  const [first = '', ...rest] = text.trimEnd().split('\n');
  const hints = rest.map((line) =>
    line
      .replace(/^\((.*)\)$/, '$1')
      .replace(/^D/, 'd')
      .replace(/\?$/, '?'),
  );
  return [`modelkeep: ${first}`, ...hints.map((hint) => `modelkeep: hint: ${hint}`)].join('\n').concat('\n');
}

const MANUAL = `
Where commands go:
  On the keep's own host a command reaches a running server through its admin socket; with no server
  running it opens the keep itself. With --server it speaks to a server elsewhere, with a credential
  from the environment: MODELKEEP_API_KEY (or MODELKEEP_API_KEY_FILE), or MODELKEEP_USER with
  MODELKEEP_PASSWORD_FILE.

Exit codes:
  0 done   1 failed   2 wrong usage   3 verification failed   4 denied

Example:
  $ modelkeep demo --exit
`;
