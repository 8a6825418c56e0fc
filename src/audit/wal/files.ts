import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  statSync,
  writeSync,
} from 'node:fs';

/** What the committer asks of a file system; a test puts a failing one in its place. Every call may throw. */
export interface WalFiles {
  /** Creates the file, or opens it if it is there, for writing; mode 0600. */
  readonly open: (path: string) => number;
  /** Number of bytes written at `position`, which a full disk makes smaller than asked without any error. */
  readonly write: (fd: number, bytes: Uint8Array, position: number) => number;
  /** When it returns, the bytes are on the disk. */
  readonly sync: (fd: number) => void;
  readonly syncDirectory: (path: string) => void;
  readonly truncate: (fd: number, bytes: number) => void;
  readonly close: (fd: number) => void;
  readonly stat: (fd: number) => FileFacts;
  /** Claims that the file is still the one under its path. */
  readonly isAt: (file: FileFacts, path: string) => boolean;
}

export interface FileFacts {
  readonly size: number;
  readonly ino: number;
  readonly dev: number;
}

export const diskFiles: WalFiles = {
  open: (path) => openSync(path, constants.O_WRONLY | constants.O_CREAT, 0o600),
  write: (fd, bytes, position) => writeSync(fd, bytes, 0, bytes.length, position),
  sync: fdatasyncSync,
  syncDirectory(path) {
    const fd = openSync(path, 'r');
    try {
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
  },
  truncate: ftruncateSync,
  close: closeSync,
  stat: (fd) => fstatSync(fd),
  isAt(file, path) {
    const named = statSync(path, { throwIfNoEntry: false });
    return named !== undefined && named.ino === file.ino && named.dev === file.dev;
  },
};
