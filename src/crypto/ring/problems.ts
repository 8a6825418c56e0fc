import { defineProblems } from '../../kernel/problem.ts';

/** What can go wrong in the life of a ring key. */
export const ringProblems = defineProblems('crypto', {
  key_exists: {
    status: 409,
    title: 'A key of that name exists',
    help: 'Names of keys are given once. For new material under the same name, rotate the key.',
  },
  key_version_active: {
    status: 409,
    title: 'The key version is the active one',
    help: 'New data is sealed with the active version. Rotate the key first; the version before becomes decrypt-only.',
  },
  key_compromised: {
    status: 409,
    title: 'The key version is marked as compromised',
    help: 'What is sealed under it is not opened, because someone else may have made it. Re-encrypt it under the active version with "modelkeep keyring reencrypt", or take the mark back with "modelkeep keyring mark".',
  },
  key_exhausted: {
    status: 409,
    title: 'The key version was used too often',
    help: 'AES-GCM with random nonces is safe for 2^32 values under one key. Rotate the key.',
  },
  rotation_refused: {
    status: 409,
    title: 'This key is not rotated this way',
    help: 'The key signs, and whoever verifies has its public key: a new one must be announced under the old one first. Only the key of the audit log is rotated so, with "modelkeep keyring rotate audit-log", and never by time. A signing key that was stolen is not rotated: move log/ away and begin a new log under another origin.',
  },
  keyring_rolled_back: {
    status: 500,
    title: 'The key ring is older than the one used before',
    help: 'keyring.age has a lower generation than the keep has seen: it was replaced by an older copy, in which newer keys are missing and destroyed ones are back. Put the newest copy back. If there is none, allow this one generation by its number, once, with the setting keys.acceptGeneration.',
  },
});
