import { defineProblems } from '../kernel/problem.ts';

export const encryptionProblems = defineProblems('keys', {
  no_seal_key: {
    status: 404,
    title: 'There is no such key for values',
    help: 'The key ring has no key of this name whose purpose is to seal values. Keys of other purposes are not lent out.',
  },
  batch_too_large: {
    status: 413,
    title: 'The batch is too large',
    help: 'The items of one request hold at most 8 MiB of plaintext together. Send several requests, or encrypt files in the age format.',
  },
});
