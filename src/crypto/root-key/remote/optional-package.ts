import { sep } from 'node:path';
import { codeOf } from '../../durable-file.ts';
import { cryptoProblems } from '../../problems.ts';

/** Loads a package that is not installed with Modelkeep. Throws `crypto.root_key_package_missing` with the way to have it. */
export async function loadOptionalPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw cryptoProblems.root_key_package_missing(installHint(name, import.meta.dirname), { cause: error });
  }
}

/** How `name` gets to where code in `directory` finds it. */
export function installHint(name: string, directory: string): string {
  if (directory.split(sep).includes('node_modules'))
    return `run where modelkeep was installed: npm install ${name} (with --global if modelkeep was)`;
  // To npm, an optional peer of the project itself is no reason to install anything: without the flag it does nothing.
  return `run in this checkout of modelkeep: npm install --save-dev ${name}`;
}
