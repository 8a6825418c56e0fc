import { readFile } from 'node:fs/promises';
import { isProblem } from '../../kernel/problem.ts';
import type { Secret } from '../../kernel/secret.ts';
import { decryptStream, encryptStream } from '../age/age.ts';
import { recipientOf } from '../age/keys.ts';
import { codeOf, writeDurably } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';
import { parseRing, type RingDocument } from './ring-document.ts';

/** `keyring.age` as it lies on the disk. */
export interface RingFile {
  readonly document: RingDocument;
  /** The file's bytes: what another process has changed is told by these, whatever generation it wrote. */
  readonly sealed: Buffer;
}

export interface RingFileOptions {
  /** Path of `keyring.age`. */
  readonly path: string;
  /** The age identity that the ring is sealed to. */
  readonly rootIdentity: Secret<string>;
}

/** Throws `crypto.keyring_missing`, `crypto.wrong_root_key`, `crypto.keyring_corrupt` or `crypto.keyring_newer`. */
export async function readRingFile(options: RingFileOptions): Promise<RingFile> {
  const sealed = await readFile(options.path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    throw cryptoProblems.keyring_missing(`there is no key ring "${options.path}"`, { cause: error });
  });
  return { document: parseRing(await open(sealed, options.rootIdentity)), sealed };
}

/** Durable when it resolves; `replace: false` throws `crypto.output_exists` for a file that is there. */
export async function writeRingFile(
  { path, rootIdentity }: RingFileOptions,
  document: RingDocument,
  replace: boolean,
): Promise<RingFile> {
  const plaintext = once(Buffer.from(JSON.stringify(document)));
  const sealed = await collect(
    encryptStream(plaintext, { recipients: [recipientOf(rootIdentity.reveal())] }),
  );
  await writeDurably({ path, source: once(sealed), replace });
  return { document, sealed };
}

async function open(sealed: Buffer, root: Secret<string>): Promise<string> {
  try {
    const text = await collect(decryptStream(once(sealed), { identities: [root.reveal()] }));
    return text.toString('utf8');
  } catch (error) {
    if (isProblem(error, cryptoProblems.no_matching_key)) {
      throw cryptoProblems.wrong_root_key('the root key is not the one that the key ring is sealed to', {
        cause: error,
      });
    }
    throw cryptoProblems.keyring_corrupt('the key ring does not verify', { cause: error });
  }
}

async function collect(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(stream));
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
