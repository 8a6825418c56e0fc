import { Secret } from '../kernel/secret.ts';
import type { Environment } from './environment.ts';
import { configProblems } from './problems.ts';

/**
 * The secret behind `env:NAME`, `file:/path` or a plain path, read when it is asked for and not before. Throws
 * `config.secret_missing`, which names the reference and nothing of the value.
 */
export function resolveSecret(
  reference: string,
  { env, readFile }: { env: Environment; readFile: (path: string) => string | undefined },
): Secret<string> {
  let value: string | undefined;
  let cause: unknown;
  try {
    value = reference.startsWith('env:')
      ? env[reference.slice(4)]
      : readFile(reference.replace(/^file:/, ''));
  } catch (error) {
    cause = error;
  }
  if (value === undefined || value === '') {
    throw configProblems.secret_missing(`${reference} is missing, empty or not readable.`, { cause });
  }
  return new Secret(value);
}
