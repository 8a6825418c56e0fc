import { defineProblems } from '../kernel/problem.ts';

export const keepProblems = defineProblems('keep', {
  not_found: {
    status: 404,
    title: 'There is no keep here',
    help: 'The directory holds no keep. Make one with `modelkeep init`, or name another directory with --home or MODELKEEP_HOME.',
  },
  exists: {
    status: 409,
    title: 'There is a keep here already',
    help: 'The directory already holds a keep; nothing was changed. Choose another directory.',
  },
  open_to_others: {
    status: 500,
    title: 'The keep is open to other users',
    help: 'The directory of the keep may be read or written by its group or by everybody. Close it with chmod 700.',
  },
  path_too_long: {
    status: 500,
    title: 'The path of the keep is too long',
    help: 'A Unix socket path has at most 107 bytes, and run/admin.sock lies in the keep. Choose a shorter directory.',
  },
});
