import type { Secret } from '../kernel/secret.ts';
import { firstLine, readSecretFile } from './credentials.ts';
import { CliFailure, usage } from './failure.ts';
import type { CliIo } from './io.ts';

/** The ways to give a secret that is never an argument: process lists and shell histories keep those. */
export interface SecretSource {
  readonly file?: string | undefined;
  readonly stdin?: boolean | undefined;
}

/** A new password: from the file, from stdin, or typed twice on the terminal. */
export async function readNewPassword(
  io: CliIo,
  source: SecretSource,
  user: string,
): Promise<Secret<string>> {
  const given = await readGiven(io, source, 'password');
  if (given !== undefined) return given;
  const prompt = promptOf(io, 'password');
  const password = await prompt.password(`new password of ${user}`);
  const again = await prompt.password('once more');
  if (password.reveal() !== again.reveal()) throw new CliFailure('the two passwords differ');
  return password;
}

/** A secret that exists already, such as a setup token. `flag` names its options: `--token-file`, `--token-stdin`. */
export async function readSecret(io: CliIo, source: SecretSource, flag: string): Promise<Secret<string>> {
  return (await readGiven(io, source, flag)) ?? (await promptOf(io, flag).password(flag));
}

async function readGiven(io: CliIo, source: SecretSource, flag: string): Promise<Secret<string> | undefined> {
  if (source.file !== undefined && source.stdin === true) {
    throw usage(`give --${flag}-file or --${flag}-stdin, not both`);
  }
  if (source.file !== undefined) return readSecretFile(source.file);
  if (source.stdin !== true) return undefined;
  if (io.stdinIsTerminal) throw usage(`--${flag}-stdin expects the ${flag} in a pipe`);
  return firstLine(await readText(io), 'stdin');
}

async function readText(io: CliIo): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of io.stdin as AsyncIterable<Uint8Array | string>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function promptOf(io: CliIo, flag: string): NonNullable<CliIo['prompt']> {
  if (io.prompt === undefined) {
    throw usage(
      `there is no terminal to ask for the ${flag} on`,
      `use --${flag}-file FILE or --${flag}-stdin`,
    );
  }
  return io.prompt;
}
