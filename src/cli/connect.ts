import { lstat } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join, resolve } from 'node:path';
import { readAuthorization } from './credentials.ts';
import { CliFailure } from './failure.ts';
import { createHttpClient, parseServerUrl } from './http-client.ts';
import type { CliIo } from './io.ts';
import type { KeepAccess, KeepClient } from './keep-client.ts';

export interface Target {
  readonly home: string;
  readonly server: string | undefined;
}

/** `--home`, else `MODELKEEP_HOME`, else `./keep`; absolute. */
export function homeOf(option: string | undefined, environment: CliIo['environment']): string {
  return resolve(option ?? (environment['MODELKEEP_HOME'] || 'keep'));
}

/**
 * The shortest way to the keep: the server that `--server` names, else the server that runs on this home (through
 * `run/admin.sock`), else the keep itself, opened here.
 */
export async function connect(target: Target, access: KeepAccess, io: CliIo): Promise<KeepClient> {
  if (target.server !== undefined) {
    const url = parseServerUrl(target.server);
    return createHttpClient({ kind: 'url', url, authorization: await readAuthorization(io) });
  }
  const socket = join(target.home, 'run', 'admin.sock');
  if (await answers(socket)) return createHttpClient({ kind: 'socket', path: socket });
  await requireKeep(target.home);
  return access.openClient({ home: target.home });
}

export async function requireKeep(home: string): Promise<void> {
  const found = await lstat(home).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
  if (found?.isDirectory() === true) return;
  throw new CliFailure(`there is no keep at ${home}`, {
    hint: `make one with: modelkeep init --home ${home} (or name another with --home or MODELKEEP_HOME)`,
  });
}

/** A socket file outlives a server that was killed: only an accepted connection shows that one is there. */
function answers(socket: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connectSocket(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EACCES') return resolve(false);
      return reject(
        new CliFailure(`a server runs on this keep, and ${socket} belongs to another user`, {
          hint: 'run the command as the user of the server, or reach it with --server URL',
        }),
      );
    });
  });
}
