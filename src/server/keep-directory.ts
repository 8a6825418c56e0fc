import { chmod, mkdir, readdir, rmdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { keepProblems } from './problems.ts';

/** Where everything of a keep lies. */
export interface KeepPaths {
  readonly home: string;
  readonly configuration: string;
  readonly rootKey: string;
  readonly keyring: string;
  readonly database: string;
  readonly blobs: string;
  readonly log: string;
  readonly auditIndex: string;
  /** Keys of the months' addresses: deleting one erases them. */
  readonly privacy: string;
  /** Disk space kept back for refusals. */
  readonly reserve: string;
  /** What detections remember between starts. */
  readonly detection: string;
  /** How far each sink has taken the log. */
  readonly delivery: string;
  readonly lock: string;
  readonly socket: string;
}

export function keepPaths(directory: string): KeepPaths {
  const home = resolve(directory);
  return {
    home,
    configuration: join(home, 'modelkeep.yaml'),
    rootKey: join(home, 'root.key'),
    keyring: join(home, 'keyring.age'),
    database: join(home, 'modelkeep.db'),
    blobs: join(home, 'blobs'),
    log: join(home, 'log'),
    auditIndex: join(home, 'audit-index.db'),
    privacy: join(home, 'privacy'),
    reserve: join(home, 'log.reserve'),
    detection: join(home, 'detection.state'),
    delivery: join(home, 'delivery'),
    lock: join(home, 'run', 'lock'),
    socket: join(home, 'run', 'admin.sock'),
  };
}

const SOCKET_PATH_BYTES_MAX = 107;

/** Makes the directories of a new keep, mode 0700. A directory that holds anything but a configuration is refused. */
export async function createKeepDirectory(paths: KeepPaths): Promise<void> {
  const present: readonly string[] = await readdir(paths.home).catch(() => []);
  if (present.includes('keyring.age') || present.includes('root.key')) {
    throw keepProblems.exists(`${paths.home} already holds a keep`);
  }
  if (present.some((name) => name !== 'modelkeep.yaml')) {
    throw keepProblems.exists(`${paths.home} is not empty`);
  }
  if (Buffer.byteLength(paths.socket) > SOCKET_PATH_BYTES_MAX) {
    throw keepProblems.path_too_long(`${paths.socket} has more than ${SOCKET_PATH_BYTES_MAX} bytes`);
  }
  await mkdir(paths.home, { recursive: true });
  // It may have been there, with the configuration, and open to others.
  await chmod(paths.home, 0o700);
  for (const directory of madeWith(paths)) await mkdir(directory, { mode: 0o700 });
}

/** Undoes `createKeepDirectory` while nothing lies in the directories, so that making the keep can be tried again. */
export async function removeKeepDirectories(paths: KeepPaths): Promise<void> {
  for (const directory of madeWith(paths)) await rmdir(directory).catch(() => {});
}

function madeWith({ home, blobs, log }: KeepPaths): readonly string[] {
  return [blobs, log, join(home, 'run')];
}

/** Throws unless `paths` is a keep that only its owner can enter. */
export async function checkKeepDirectory(paths: KeepPaths): Promise<void> {
  const found = await stat(paths.home).catch(() => undefined);
  const ring = await stat(paths.keyring).catch(() => undefined);
  if (found === undefined || ring === undefined) throw keepProblems.not_found(`${paths.home} holds no keep`);
  if ((found.mode & 0o077) !== 0) {
    const mode = (found.mode & 0o777).toString(8);
    throw keepProblems.open_to_others(`${paths.home} has mode ${mode}; run: chmod 700 ${paths.home}`);
  }
}
