import { defineProblems } from '../kernel/problem.ts';

export const keysProblems = defineProblems('keys', {
  not_found: {
    status: 404,
    title: 'There is no such key or key version',
    help: '"modelkeep keyring list" shows the keys of the ring, and "modelkeep keyring show NAME" the versions of one.',
  },
  not_for_export: {
    status: 409,
    title: 'The key has no recipient',
    help: 'Only keys of the purpose wrap have an age recipient, a public key that others can encrypt to. All other material never leaves the ring.',
  },
  version_in_use: {
    status: 409,
    title: 'The key version is still in use',
    help: 'Something in the keep is sealed under the version and would be lost. Move it with "modelkeep keyring rewrap" or "reencrypt"; what moves on use only, such as passwords and API keys, has to be used or replaced.',
  },
  version_recent: {
    status: 409,
    title: 'The key version was active until a moment ago',
    help: 'A request that began before the rotation may still be sealing something under the version. Wait for the time that is named, and try again.',
  },
  not_confirmed: {
    status: 400,
    title: 'The destruction was not confirmed',
    help: 'Destroying a key version cannot be undone. Repeat the name of the key: the query parameter "confirm", or --confirm on the command line.',
  },
  job_running: {
    status: 409,
    title: 'Another job over the keys is running',
    help: 'One rewrap or reencrypt runs at a time. Wait for it to end; what it has moved stays moved, and calling again goes on from there.',
  },
  clock_behind: {
    status: 503,
    title: 'The clock has gone backwards',
    help: 'A reencryption knows what it has done by time, and the clock is behind the time at which it began. Set the clock right, and call again.',
  },
});
