import { defineProblems } from '../../kernel/problem.ts';

export const engineProblems = defineProblems('crypto', {
  worker_failed: {
    status: 500,
    title: 'A worker thread failed',
    help: 'A thread that encrypted or decrypted ended before its work was done, as when memory ran out. Nothing was left behind. Try again, with --jobs 1 if memory is short.',
  },
  archive_refused: {
    status: 422,
    title: 'The archive is not safe to unpack',
    help: 'An entry of the archive would be written outside the new directory, or is neither a file, a directory nor a link within it. Nothing was unpacked. Decrypt without --extract and look at the archive with another tool.',
  },
  archive_malformed: {
    status: 422,
    title: 'Not a well-formed tar archive',
    help: 'The decrypted data is not a tar archive, or it is damaged. Decrypt it without --extract.',
  },
  directory_refused: {
    status: 422,
    title: 'The directory cannot be packed',
    help: 'It holds something that an archive could not give back: a device, a socket, a pipe, or a link to a place outside. Remove it or encrypt the files one by one.',
  },
});
