import { lstat, readFile } from 'node:fs/promises';
import { Secret } from '../kernel/secret.ts';
import { CliFailure, usage } from './failure.ts';
import type { CliIo } from './io.ts';

/**
 * The `authorization` header for `--server`: `MODELKEEP_API_KEY` (or the file `MODELKEEP_API_KEY_FILE`), else
 * `MODELKEEP_USER` with the password in the file `MODELKEEP_PASSWORD_FILE` or asked for on the terminal.
 */
export async function readAuthorization({
  environment,
  prompt,
}: Pick<CliIo, 'environment' | 'prompt'>): Promise<Secret<string>> {
  const key = await readKey(environment);
  if (key !== undefined) return new Secret(`Bearer ${key.reveal()}`);
  const user = environment['MODELKEEP_USER'];
  if (user === undefined || user === '') {
    throw new CliFailure('--server needs a credential', {
      hint: 'set MODELKEEP_API_KEY, or MODELKEEP_USER with MODELKEEP_PASSWORD_FILE',
    });
  }
  if (user.includes(':')) throw usage('MODELKEEP_USER must not hold a colon');
  const password = await readPasswordOf(user, environment, prompt);
  return new Secret(`Basic ${Buffer.from(`${user}:${password.reveal()}`).toString('base64')}`);
}

/** The first line of a file that only its owner may read. */
export async function readSecretFile(path: string): Promise<Secret<string>> {
  const facts = await lstat(path);
  // A mode tells nothing on Windows, and a pipe (`<(pass show …)`) has no owner to protect it from.
  if (facts.isFile() && process.platform !== 'win32' && (facts.mode & 0o077) !== 0) {
    throw new CliFailure(`${path} may be read by other users`, { hint: `chmod 600 ${path}` });
  }
  return firstLine(await readFile(path, 'utf8'), path);
}

/** Text up to the first line break; refuses an empty one. */
export function firstLine(text: string, source: string): Secret<string> {
  const line = text.split(/\r?\n/, 1)[0] ?? '';
  if (line === '') throw new CliFailure(`${source} holds no secret: its first line is empty`);
  return new Secret(line);
}

async function readKey(environment: CliIo['environment']): Promise<Secret<string> | undefined> {
  const key = environment['MODELKEEP_API_KEY'];
  if (key !== undefined && key !== '') {
    if (!/^[\x21-\x7e]+$/.test(key)) throw usage('MODELKEEP_API_KEY is not an API key');
    return new Secret(key);
  }
  const file = environment['MODELKEEP_API_KEY_FILE'];
  return file === undefined || file === '' ? undefined : readSecretFile(file);
}

async function readPasswordOf(
  user: string,
  environment: CliIo['environment'],
  prompt: CliIo['prompt'],
): Promise<Secret<string>> {
  const file = environment['MODELKEEP_PASSWORD_FILE'];
  if (file !== undefined && file !== '') return readSecretFile(file);
  if (prompt !== undefined) return prompt.password(`password of ${user}`);
  throw new CliFailure('MODELKEEP_USER is set but no password is given', {
    hint: 'name a file that holds it with MODELKEEP_PASSWORD_FILE',
  });
}
