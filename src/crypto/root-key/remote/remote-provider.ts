import { isProblem } from '../../../kernel/problem.ts';
import { Secret } from '../../../kernel/secret.ts';
import { generateIdentity, recipientOf } from '../../age/keys.ts';
import { cryptoProblems } from '../../problems.ts';
import { writePrivateFile } from '../private-file.ts';
import { READY, type RootKey, type RootKeyProvider, rootKeyOf } from '../root-key-provider.ts';
import { missing, previousPath, readSlot, shiftSlot, type Slot } from '../slot.ts';
import type { RemoteWrapper, WrapContext } from './remote-wrapper.ts';
import {
  formatSealedRootKey,
  parseSealedRootKey,
  SEALED_BYTES_MAX,
  type SealedRootKey,
} from './sealed-root-key.ts';

export interface RemoteProviderOptions {
  /** Of `root.key.sealed`. */
  readonly path: string;
  readonly wrapper: RemoteWrapper;
  /** For the key before, if another remote key wraps it. */
  readonly previousWrapper: RemoteWrapper;
}

/** A root key that lies wrapped in the keep; the key that unwraps it lies in a key service. */
export function createRemoteProvider({
  path,
  wrapper,
  previousWrapper,
}: RemoteProviderOptions): RootKeyProvider {
  const slot: Slot = { path, bytesMax: SEALED_BYTES_MAX, what: 'sealed root key' };

  const readSealed = async (from: string, by: RemoteWrapper): Promise<SealedRootKey | undefined> => {
    const text = await readSlot({ ...slot, path: from });
    if (text === undefined) return undefined;
    const sealed = parseSealedRootKey(text, `"${from}"`);
    if (sealed.provider !== by.provider || sealed.keyId !== by.keyId) {
      throw cryptoProblems.root_key_mismatch(
        `"${from}" was wrapped by another key than ${by.provider} ${by.keyId}, which the configuration names`,
      );
    }
    return sealed;
  };

  const read = async (from: string, by: RemoteWrapper): Promise<RootKey | undefined> => {
    const sealed = await readSealed(from, by);
    return sealed && rootKeyOf(await unwrap(sealed, by, from));
  };

  const current = async (): Promise<RootKey> => {
    const rootKey = await read(path, wrapper);
    if (rootKey === undefined) throw missing(path);
    return rootKey;
  };

  const make = async (store: (text: string) => Promise<void>): Promise<RootKey> => {
    const identity = new Secret(generateIdentity().identity);
    await store(formatSealedRootKey(await wrap(identity, wrapper)));
    return rootKeyOf(identity);
  };

  return {
    open: async () => ({
      current: await current(),
      previous: () => read(previousPath(path), previousWrapper),
    }),
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
    async rewrap() {
      const sealed = await readSealed(path, wrapper);
      if (sealed === undefined) throw missing(path);
      const next =
        wrapper.rewrap === undefined
          ? await wrap(await unwrap(sealed, wrapper, path), wrapper)
          : { ...sealed, ciphertext: await wrapper.rewrap(sealed.ciphertext, contextOf(sealed.recipient)) };
      // Nothing replaces a file that opens before it was seen to open as well.
      await unwrap(next, wrapper, path);
      await writePrivateFile(path, formatSealedRootKey(next), true);
    },
    describe: () => ({
      provider: wrapper.provider,
      place: wrapper.keyId,
      files: [path],
      keep: `${path}, and the key ${wrapper.keyId} of ${wrapper.provider}`,
    }),
    async check() {
      try {
        await current();
        return READY;
      } catch (error) {
        const why = isProblem(error, cryptoProblems.root_key_unreachable)
          ? 'cannot be reached'
          : 'does not give the root key';
        return { ready: false, reasons: [`the root-key provider ${why}`] };
      }
    },
    async close() {
      await wrapper.close();
      if (previousWrapper !== wrapper) await previousWrapper.close();
    },
  };
}

async function wrap(identity: Secret<string>, wrapper: RemoteWrapper): Promise<SealedRootKey> {
  const recipient = recipientOf(identity.reveal());
  const plaintext = Buffer.from(identity.reveal());
  try {
    const ciphertext = await wrapper.wrap(plaintext, contextOf(recipient));
    return { provider: wrapper.provider, keyId: wrapper.keyId, ciphertext, recipient };
  } finally {
    plaintext.fill(0);
  }
}

async function unwrap(sealed: SealedRootKey, wrapper: RemoteWrapper, path: string): Promise<Secret<string>> {
  const plaintext = await wrapper.unwrap(sealed.ciphertext, contextOf(sealed.recipient));
  const identity = new Secret(Buffer.from(plaintext).toString('utf8'));
  plaintext.fill(0);
  let recipient: string;
  try {
    recipient = recipientOf(identity.reveal());
  } catch (error) {
    throw cryptoProblems.root_key_sealed_malformed(`what "${path}" unwraps to is not a root key`, {
      cause: error,
    });
  }
  // Not every service authenticates a context; what it gave must be the key that the file speaks of.
  if (recipient !== sealed.recipient)
    throw cryptoProblems.root_key_mismatch(`"${path}" unwraps to another root key than it names`);
  return identity;
}

function contextOf(recipient: string): WrapContext {
  return { application: 'modelkeep', purpose: 'root-key', recipient };
}
