import { Command, CommanderError } from 'commander';
import type { GlobalOptions } from './context.ts';
import { reportOf } from './failure.ts';
import type { CliIo } from './io.ts';

/** The command `modelkeep` without its subcommands. */
export function createProgram(io: CliIo, version: string): Command {
  return new Command('modelkeep')
    .description(
      'Modelkeep encrypts data and models, holds their keys, serves the models behind authentication and authorization, and keeps a tamper-evident log of every attempt.',
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

/** Runs one command line; resolves with the exit code, never rejects. `exitCode` is asked when the command ended well. */
export async function runProgram(
  program: Command,
  io: CliIo,
  argv: readonly string[],
  exitCode: () => number,
): Promise<number> {
  try {
    await program.parseAsync(argv, { from: 'user' });
    return exitCode();
  } catch (error) {
    const report = reportOf(error);
    // Commander prints its own complaints.
    if (!(error instanceof CommanderError)) {
      // Tables and all: a command that ends well may not need it.
      const { createOutput } = await import('./output.ts');
      const output = createOutput(io, () => program.opts<GlobalOptions>().json === true);
      output.fail(report);
    }
    return report.exitCode;
  }
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
