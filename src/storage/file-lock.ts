import { DatabaseSync } from 'node:sqlite';
import { storageProblems } from './problems.ts';

export interface FileLock extends Disposable {
  release(): void;
}

/**
 * Takes the lock at `path` or throws `storage.keep_locked` at once. It is an SQLite exclusive lock, hence the operating
 * system's: a process that dies in any way gives it back, and no stale file can lock anybody out.
 */
export function acquireFileLock(path: string): FileLock {
  const database = new DatabaseSync(path);
  try {
    database.exec('pragma busy_timeout = 0; begin exclusive');
  } catch (error) {
    database.close();
    const busy =
      error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY;
    if (busy) {
      throw storageProblems.keep_locked('another modelkeep process is using this keep', { cause: error });
    }
    throw storageProblems.not_writable('the lock of the keep cannot be written', { cause: error });
  }
  let held = true;
  const release = (): void => {
    if (!held) return;
    held = false;
    database.close();
  };
  return { release, [Symbol.dispose]: release };
}

const SQLITE_BUSY = 5;
