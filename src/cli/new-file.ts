import { randomBytes } from 'node:crypto';
import { link, lstat, open, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CliFailure } from './failure.ts';

/**
 * Writes `chunks` to a file that must not exist, mode 0600. The name appears when all of it is on the disk: a transfer
 * that breaks off leaves nothing behind.
 */
export async function writeNewFile(path: string, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  const present = await lstat(path).catch(() => undefined);
  if (present !== undefined) throw new CliFailure(`${path} already exists`, { hint: 'name a new file' });
  const partial = join(dirname(path), `.modelkeep-${randomBytes(8).toString('hex')}.partial`);
  const file = await open(partial, 'wx', 0o600);
  try {
    try {
      await file.writeFile(chunks);
      await file.sync();
    } finally {
      await file.close();
    }
    // Unlike a rename, a link never replaces what is there.
    await link(partial, path);
  } finally {
    await unlink(partial);
  }
}
