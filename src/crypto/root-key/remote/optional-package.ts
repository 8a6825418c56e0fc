import { codeOf } from '../../durable-file.ts';
import { cryptoProblems } from '../../problems.ts';

/** Loads a package that is not installed with Modelkeep. Throws `crypto.root_key_package_missing` with the way to have it. */
export async function loadOptionalPackage<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const code = codeOf(error);
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error;
    throw cryptoProblems.root_key_package_missing(`run: npm install ${name}`, { cause: error });
  }
}
