import { readFile } from 'node:fs/promises';
import { isProblem } from '../../kernel/problem.ts';
import type { Secret } from '../../kernel/secret.ts';
import { decryptStream, encryptStream } from '../age/age.ts';
import { recipientOf } from '../age/keys.ts';
import { codeOf, writeDurably } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';
import type { RootKey, RootKeys } from './root-key-provider.ts';

export interface Resealed {
  /** The key that the key ring is sealed to now. */
  readonly rootKey: RootKey;
  /** The key that it was sealed to before, if it was another one and the ring was moved over. */
  readonly movedFrom: RootKey | undefined;
}

/**
 * Sees to it that the key ring at `path` is sealed to the current root key: one that the previous key opens is sealed anew,
 * content unchanged, replaced as a whole. Call it under the keep's lock. Throws `crypto.wrong_root_key` if neither opens it,
 * `crypto.keyring_missing`, `crypto.keyring_corrupt`.
 */
export async function resealKeyRing(path: string, rootKeys: RootKeys): Promise<Resealed> {
  const { current } = rootKeys;
  const sealed = await readFile(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw cryptoProblems.keyring_missing(`there is no key ring "${path}"`, { cause: error });
  });
  const opened = await openWith(sealed, current);
  if (opened !== undefined) {
    opened.fill(0);
    return { rootKey: current, movedFrom: undefined };
  }
  const before = await rootKeys.previous();
  const plaintext = before && (await openWith(sealed, before));
  if (before === undefined || plaintext === undefined) {
    const tried =
      before === undefined ? `${current.id}, and there is no previous one` : `${current.id} and ${before.id}`;
    throw cryptoProblems.wrong_root_key(`the key ring is sealed to another root key than ${tried}`);
  }
  try {
    const source = encryptStream(once(plaintext), { recipients: [recipientOf(current.identity.reveal())] });
    await writeDurably({ path, source, replace: true });
  } finally {
    plaintext.fill(0);
  }
  return { rootKey: current, movedFrom: before };
}

/** What is sealed, or undefined if it is sealed to another key. */
async function openWith(
  sealed: Uint8Array,
  { identity }: { readonly identity: Secret<string> },
): Promise<Buffer | undefined> {
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of decryptStream(once(sealed), { identities: [identity.reveal()] }))
      pieces.push(piece);
  } catch (error) {
    if (isProblem(error, cryptoProblems.no_matching_key)) return undefined;
    throw cryptoProblems.keyring_corrupt('the key ring does not verify', { cause: error });
  }
  return Buffer.concat(pieces);
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
