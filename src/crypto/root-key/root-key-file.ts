import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';
import { parseRootKeyText } from './root-key-text.ts';

const FILE_BYTES_MAX = 4096;

/** Makes a new root key and its file, mode 0600. Throws `crypto.root_key_exists`. */
export async function createRootKeyFile(path: string): Promise<Secret<string>> {
  const { identity } = generateIdentity();
  try {
    await writePrivateFile(path, `${identity}\n`, false);
  } catch (error) {
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    throw cryptoProblems.root_key_exists(`"${path}" exists`, { cause: error });
  }
  return new Secret(identity);
}

/**
 * The root key, an age identity. The file must be a regular file, not a link, owned by this user and closed to all others
 * (`crypto.root_key_exposed`), and hold one identity (`crypto.root_key_malformed`).
 */
export async function readRootKeyFile(path: string): Promise<Secret<string>> {
  const text = await readPrivateFile({ path, bytesMax: FILE_BYTES_MAX, what: 'root key file' });
  if (text === undefined)
    throw cryptoProblems.root_key_malformed(`"${path}" is too large for a root key file`);
  return parseRootKeyText(text, `"${path}"`);
}
