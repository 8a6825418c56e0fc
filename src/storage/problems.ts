import { defineProblems } from '../kernel/problem.ts';

export const storageProblems = defineProblems('storage', {
  keep_locked: {
    status: 409,
    title: 'The keep is in use',
    help: 'Another Modelkeep process holds this keep. Talk to the running server (commands do so by themselves through run/admin.sock), or stop it first.',
  },
  database_corrupt: {
    status: 500,
    title: 'The database is damaged',
    help: 'modelkeep.db is not a sound SQLite database. Restore it from a backup; the audit log and the blobs are separate files and may be intact.',
  },
  database_newer: {
    status: 500,
    title: 'The database is from a newer Modelkeep',
    help: 'The database holds a migration that this version does not know. Run the version that wrote it, or a later one.',
  },
  blob_missing: {
    status: 500,
    title: 'A stored artifact is missing',
    help: 'The database names a blob that is not in blobs/. Restore it from a backup; its name is the SHA-256 of its bytes.',
  },
  blob_corrupt: {
    status: 500,
    title: 'A stored artifact is damaged',
    help: 'The bytes of a blob do not have the SHA-256 that names them. Restore the file from a backup.',
  },
  not_writable: {
    status: 507,
    title: 'The keep cannot be written',
    help: 'The disk is full, read-only, or the files belong to another user. Nothing was changed; free space or mend the permissions and try again.',
  },
});
