import { lstat } from 'node:fs/promises';
import { basename } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { KeepPaths } from '../server/keep-directory.ts';
import type { ApiKey } from './commands/api-keys.ts';

/** What one check found. A warning deserves a look; a failure deserves it now. */
export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warning' | 'failed';
  readonly detail: string;
  readonly hint?: string;
}

const DAY_MS = 86_400_000;
export const ROOT_KEY_DAYS_MAX = 365;
export const EXPIRES_SOON_DAYS = 14;

/** Nobody but the owner may read, write or enter what holds keys and facts. */
export async function checkPermissions(paths: KeepPaths, rootKeyFiles: readonly string[]): Promise<Finding> {
  const check = 'file permissions';
  const open: string[] = [];
  const { home, keyring, database, blobs, log, socket } = paths;
  const secret = [home, ...rootKeyFiles, keyring, socket];
  for (const path of [...secret, database, blobs, log]) {
    const facts = await lstat(path).catch(absent);
    if (facts === undefined) continue;
    if (facts.isSymbolicLink()) open.push(`${path} is a symbolic link`);
    // Inside a closed home, only the keys themselves must be closed as well.
    else if (secret.includes(path) && (facts.mode & 0o077) !== 0) {
      open.push(`${basename(path)} has mode ${(facts.mode & 0o777).toString(8).padStart(4, '0')}`);
    }
  }
  if (open.length === 0) return { check, state: 'ok', detail: 'only the owner can enter the keep' };
  return { check, state: 'failed', detail: open.join('; '), hint: `chmod -R go= ${home}` };
}

export async function checkRootKeyAge(rootKeyFiles: readonly string[], now: number): Promise<Finding> {
  const check = 'root key';
  let oldest = now;
  for (const path of rootKeyFiles) {
    const facts = await lstat(path).catch(absent);
    if (facts === undefined)
      return { check, state: 'failed', detail: `${path} is missing`, hint: 'put it back from its copy' };
    oldest = Math.min(oldest, facts.mtimeMs);
  }
  if (rootKeyFiles.length === 0) return { check, state: 'ok', detail: 'lies outside the keep' };
  const days = Math.floor((now - oldest) / DAY_MS);
  if (days <= ROOT_KEY_DAYS_MAX) return { check, state: 'ok', detail: `${days} days old` };
  return { check, state: 'warning', detail: `${days} days old, more than ${ROOT_KEY_DAYS_MAX}` };
}

/** Damage that SQLite itself can see. Safe beside a running server: it only reads. */
export async function checkDatabase(paths: KeepPaths): Promise<Finding> {
  const check = 'database';
  if ((await lstat(paths.database).catch(absent)) === undefined) {
    return {
      check,
      state: 'failed',
      detail: `${paths.database} is missing`,
      hint: 'restore it from a backup',
    };
  }
  const database = new DatabaseSync(paths.database, { readOnly: true });
  try {
    const faults = database
      .prepare('pragma quick_check(5)')
      .all()
      .map((row) => String(Object.values(row)[0]));
    const dangling = database.prepare('pragma foreign_key_check').all();
    if (faults.join() === 'ok' && dangling.length === 0) return { check, state: 'ok', detail: 'sound' };
    const detail = [...faults.filter((fault) => fault !== 'ok'), ...dangling.map(danglingRow)].join('; ');
    return { check, state: 'failed', detail, hint: 'restore modelkeep.db from a backup' };
  } finally {
    database.close();
  }
}

function danglingRow(row: Record<string, unknown>): string {
  return `a row of ${String(row['table'])} refers to a missing row of ${String(row['parent'])}`;
}

/** Keys that stopped working unnoticed, will soon, or never will. */
export function checkApiKeys(keys: readonly ApiKey[], now: number): Finding {
  const check = 'API keys';
  const live = keys.filter((key) => key.revokedAt === null);
  const daysLeft = (key: ApiKey): number =>
    key.expiresAt === null ? Infinity : (new Date(key.expiresAt).getTime() - now) / DAY_MS;
  const named = (some: readonly ApiKey[]): string => some.map((key) => key.id).join(', ');
  const expired = live.filter((key) => daysLeft(key) <= 0);
  const soon = live.filter((key) => daysLeft(key) > 0 && daysLeft(key) <= EXPIRES_SOON_DAYS);
  const eternal = live.filter((key) => daysLeft(key) === Infinity);
  const remarks = [
    ...(expired.length === 0 ? [] : [`expired: ${named(expired)}`]),
    ...(soon.length === 0 ? [] : [`expire within ${EXPIRES_SOON_DAYS} days: ${named(soon)}`]),
    ...(eternal.length === 0 ? [] : [`never expire: ${named(eternal)}`]),
  ];
  if (remarks.length === 0) return { check, state: 'ok', detail: `${live.length} in use` };
  return {
    check,
    state: 'warning',
    detail: remarks.join('; '),
    hint: 'replace a key with api-keys create, then api-keys revoke the old one',
  };
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
