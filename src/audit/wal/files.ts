import { closeSync, fdatasyncSync, fstatSync, fsyncSync, openSync, statSync, writeSync } from 'node:fs';

/** What the committer asks of a file system; a test puts a failing one in its place. Every call may throw. */
export interface WalFiles {
  /** Creates the file, or opens it if it is there, for appending; mode 0600. */
  readonly open: (path: string) => number;
  /** Number of bytes written, which a full disk makes smaller than asked without any error. */
  readonly write: (fd: number, bytes: Uint8Array) => number;
  /** When it returns, the bytes are on the disk. */
  readonly sync: (fd: number) => void;
  readonly syncDirectory: (path: string) => void;
  readonly close: (fd: number) => void;
  readonly size: (fd: number) => number;
  /** Claims that the file is still the one under its path. */
  readonly isAt: (fd: number, path: string) => boolean;
}

export const diskFiles: WalFiles = {
  open: (path) => openSync(path, 'a', 0o600),
  write: (fd, bytes) => writeSync(fd, bytes),
  sync: fdatasyncSync,
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  close: closeSync,
  size: (fd) => fstatSync(fd).size,
  isAt(fd, path) {
    const open = fstatSync(fd);
    const named = statSync(path, { throwIfNoEntry: false });
    return named !== undefined && named.ino === open.ino && named.dev === open.dev;
  },
};
