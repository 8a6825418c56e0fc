import { isProblem } from '../../kernel/problem.ts';
import { Secret } from '../../kernel/secret.ts';
import { generateIdentity } from '../age/keys.ts';
import { cryptoProblems } from '../problems.ts';
import { createRootKeyFile, readRootKeyFile } from './root-key-file.ts';
import { READY, type RootKey, type RootKeyProvider, rootKeyOf } from './root-key-provider.ts';
import { previousPath, shiftSlot } from './slot.ts';

/** The root key in `root.key`, the one before in `root.key.previous`. */
export function createFileProvider({ path }: { readonly path: string }): RootKeyProvider {
  const read = async (from: string): Promise<RootKey> => rootKeyOf(await readRootKeyFile(from));
  return {
    async open() {
      return { current: await read(path), previous: () => ifPresent(read(previousPath(path))) };
    },
    initialise: async () => rootKeyOf(await createRootKeyFile(path)),
    async rotate() {
      const identity = new Secret(generateIdentity().identity);
      await shiftSlot({ path, bytesMax: 4096, what: 'root key file' }, `${identity.reveal()}\n`);
      return rootKeyOf(identity);
    },
    describe: () => ({ provider: 'file', place: path, files: [path], keep: path }),
    async check() {
      try {
        await read(path);
        return READY;
      } catch {
        return { ready: false, reasons: ['the root key file is missing or not acceptable'] };
      }
    },
    close: async () => {},
  };
}

/** Undefined where there is none; anything else that is wrong with it is told. */
export async function ifPresent(reading: Promise<RootKey>): Promise<RootKey | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (isProblem(error, cryptoProblems.root_key_missing)) return undefined;
    throw error;
  }
}
