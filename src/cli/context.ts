import type { Command } from 'commander';
import { connect, homeOf } from './connect.ts';
import type { CliIo } from './io.ts';
import type { KeepAccess, KeepClient } from './keep-client.ts';
import { createOutput, type Output } from './output.ts';

/** What a command's action works with. */
export interface CommandContext {
  readonly io: CliIo;
  readonly access: KeepAccess;
  readonly output: Output;
  /** The keep that `--home` or the environment names; absolute. */
  readonly home: () => string;
  /** What `--home` or the environment says, if either does. */
  readonly namedHome: () => string | undefined;
  /** The server that `--server` or the environment names. */
  readonly server: () => string | undefined;
  /** Runs `work` with a client to the keep, and closes it. */
  readonly withKeep: <T>(work: (client: KeepClient) => Promise<T>) => Promise<T>;
  /** The exit code of a command that ends well but has bad news. */
  readonly exitWith: (code: number) => void;
}

export interface GlobalOptions {
  readonly home?: string;
  readonly server?: string;
  readonly json?: boolean;
}

export function createContext(
  program: Command,
  { access, io, exitWith }: Pick<CommandContext, 'access' | 'io' | 'exitWith'>,
): CommandContext {
  const options = (): GlobalOptions => program.opts<GlobalOptions>();
  const home = (): string => homeOf(options().home, io.environment);
  const server = (): string | undefined =>
    options().server ?? (io.environment['MODELKEEP_SERVER'] || undefined);
  return {
    io,
    access,
    output: createOutput(io, () => options().json === true),
    home,
    namedHome: () => ((options().home ?? io.environment['MODELKEEP_HOME'] ?? '') === '' ? undefined : home()),
    server,
    async withKeep(work) {
      const client = await connect({ home: home(), server: server() }, access, io);
      try {
        return await work(client);
      } finally {
        await client.close();
      }
    },
    exitWith,
  };
}
