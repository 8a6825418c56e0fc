import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { Secret } from '../kernel/secret.ts';
import type { Environment } from './environment.ts';
import { configProblems } from './problems.ts';

/** Reads secrets where the configuration says they are, when they are asked for and not before. */
export interface SecretSource {
  /**
   * What `env:NAME` or `file:/path` leads to, less one line end. Throws `config.secret_missing`, and `config.secret_exposed`
   * for a file that every user of the machine may read or write. A variable is removed from the environment of the process.
   */
  resolve(reference: string): Secret<string>;
  /** A variable's value, or undefined; removed from the environment of the process, so that no child inherits it. */
  take(variable: string): Secret<string> | undefined;
}

const FILE_BYTES_MAX = 64 * 1024;
const OPEN_TO_OTHERS = 0o006;

export function createSecretSource(environment: Environment): SecretSource {
  const take = (variable: string): Secret<string> | undefined => {
    const value = environment[variable];
    // The snapshot keeps it for a second opening of the keep; what children and crash reports see is gone.
    if (value !== undefined && process.env[variable] === value) delete process.env[variable];
    return value === undefined || value === '' ? undefined : new Secret(value.replace(/\r?\n$/, ''));
  };
  return {
    take,
    resolve(reference) {
      const found = reference.startsWith('env:')
        ? take(reference.slice('env:'.length))
        : readSecret(reference.replace(/^file:/, ''));
      if (found === undefined || found.reveal() === '')
        throw configProblems.secret_missing(`${reference} is missing, empty or not readable.`);
      return found;
    },
  };
}

function readSecret(path: string): Secret<string> | undefined {
  let file: number;
  try {
    file = openSync(path, 'r');
  } catch (error) {
    throw configProblems.secret_missing(`file:${path} is missing, empty or not readable.`, { cause: error });
  }
  try {
    // Orchestrators mount secrets as links to files of root that a group may read, so neither is refused.
    const { mode, size } = fstatSync(file);
    if ((mode & OPEN_TO_OTHERS) !== 0)
      throw configProblems.secret_exposed(`file:${path} is open to every user; run: chmod o= ${path}`);
    if (size > FILE_BYTES_MAX) throw configProblems.secret_missing(`file:${path} is too large for a secret.`);
    return new Secret(readFileSync(file, 'utf8').replace(/\r?\n$/, ''));
  } finally {
    closeSync(file);
  }
}
