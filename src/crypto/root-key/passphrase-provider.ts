import { isProblem } from '../../kernel/problem.ts';
import type { Secret } from '../../kernel/secret.ts';
import { cryptoProblems } from '../problems.ts';
import {
  derivePassphraseIdentity,
  newPassphraseIdentity,
  PARAMS_BYTES_MAX,
  parsePassphraseParams,
  type PassphraseParams,
} from './passphrase-params.ts';
import { writePrivateFile } from './private-file.ts';
import { READY, type RootKey, type RootKeyProvider, rootKeyOf } from './root-key-provider.ts';
import { missing, previousPath, readSlot, shiftSlot, type Slot } from './slot.ts';

export interface PassphraseOptions {
  /** Of `root.params`. */
  readonly path: string;
  readonly passphrase: () => Promise<Secret<string>>;
  /** The passphrase of the key before. */
  readonly previousPassphrase: () => Promise<Secret<string>>;
}

/** The root key derived from a passphrase; only salt and cost are stored. */
export function createPassphraseProvider({
  path,
  passphrase,
  previousPassphrase,
}: PassphraseOptions): RootKeyProvider {
  const slot: Slot = { path, bytesMax: PARAMS_BYTES_MAX, what: 'file of passphrase parameters' };

  const read = async (from: string, ask: () => Promise<Secret<string>>): Promise<RootKey | undefined> => {
    const text = await readSlot({ ...slot, path: from });
    if (text === undefined) return undefined;
    const params = parsePassphraseParams(text, `"${from}"`);
    return rootKeyOf(await derivePassphraseIdentity(await ask(), params));
  };

  const make = async (store: (text: string) => Promise<void>): Promise<RootKey> => {
    const { params, identity } = await newPassphraseIdentity(await passphrase());
    await store(formatParams(params));
    return rootKeyOf(identity);
  };

  return {
    async open() {
      const current = await read(path, passphrase);
      if (current === undefined) throw missing(path);
      return { current, previous: () => read(previousPath(path), previousPassphrase) };
    },
    initialise: () =>
      make(async (text) => {
        try {
          await writePrivateFile(path, text, false);
        } catch (error) {
          if (!isProblem(error, cryptoProblems.output_exists)) throw error;
          throw cryptoProblems.root_key_exists(`"${path}" exists`, { cause: error });
        }
      }),
    rotate: () => make((text) => shiftSlot(slot, text)),
    describe: () => ({
      provider: 'passphrase',
      place: path,
      files: [path],
      keep: `${path}, and the passphrase`,
    }),
    async check() {
      try {
        const text = await readSlot(slot);
        if (text !== undefined && parsePassphraseParams(text, `"${path}"`)) return READY;
      } catch {
        // Told below, like a file that is not there.
      }
      return {
        ready: false,
        reasons: ['the parameters of the root passphrase are missing or not acceptable'],
      };
    },
    close: async () => {},
  };
}

function formatParams(params: PassphraseParams): string {
  return `${JSON.stringify(params, null, 2)}\n`;
}
