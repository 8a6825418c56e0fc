import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { acquireFileLock } from '../../storage/file-lock.ts';
import { createLogWriter, readLogFile } from '../log-files.ts';
import { originHash } from './protocol.ts';
import type { WitnessStore } from './witness.ts';

/**
 * One file for each log, `HASH/checkpoint` below `directory`, replaced as a whole: temporary file, fsync, rename, fsync
 * of the directory. Holds a lock, so that two witnesses with one memory cannot both say yes: throws
 * `storage.keep_locked` if another process has it.
 */
export function openWitnessFiles(directory: string): WitnessStore & Disposable {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lock = acquireFileLock(join(directory, 'lock'));
  const files = createLogWriter(directory);
  const fileOf = (origin: string): string => join(originHash(origin), 'checkpoint');
  return {
    read: (origin) => readLogFile(directory, fileOf(origin))?.toString(),
    replace(origin, checkpoint) {
      files.put(fileOf(origin), Buffer.from(checkpoint));
      files.settle();
    },
    [Symbol.dispose]: () => lock.release(),
  };
}

/** For tests of others: forgets everything with the process. */
export function createWitnessMemory(): WitnessStore {
  const checkpoints = new Map<string, string>();
  return {
    read: (origin) => checkpoints.get(origin),
    replace: (origin, checkpoint) => void checkpoints.set(origin, checkpoint),
  };
}
