import type { Opening, Sealing } from '../age/file-key.ts';
import { decryptInParallel } from './age-streams.ts';
import { type AgeTransfer, encryptFile, parallelismOf } from './files.ts';
import { packDirectory } from './pack-directory.ts';
import { openInput } from './transfer.ts';
import { unpackDirectory } from './unpack-directory.ts';

/** Packs a directory as a tar archive and encrypts it. Throws as `packDirectory` and `encryptFile`. */
export async function encryptDirectory({
  input,
  onProgress,
  ...options
}: AgeTransfer & { readonly input: string } & Sealing & { readonly armor?: boolean }): Promise<void> {
  const { source, bytes } = await packDirectory(input);
  // The size was an estimate: a bar must not pass its end.
  const tell = onProgress && ((done: number) => onProgress(Math.min(done, bytes), bytes));
  await encryptFile({ ...options, input: source, ...(tell && { onProgress: tell }) });
}

/**
 * Decrypts a tar archive and unpacks it to a directory that is not there yet; it appears when the whole file is verified
 * and unpacked. Throws as `unpackDirectory` and `decryptFile`.
 */
export async function decryptDirectory({
  output,
  ...options
}: Omit<AgeTransfer, 'output' | 'force'> & { readonly output: string } & Opening): Promise<void> {
  const sealed = await openInput(options);
  await unpackDirectory(output, decryptInParallel(sealed, options, parallelismOf(options)));
}
