import { defineProblems } from '../../kernel/problem.ts';

export const receiptProblems = defineProblems('audit', {
  receipt_pending: {
    status: 409,
    title: 'No checkpoint covers this entry yet',
    help: 'The entry is durable, and the next checkpoint will cover it, within a second. Ask again after the time in Retry-After, or with ?wait=1, which waits for it.',
  },
  tile_not_found: {
    status: 404,
    title: 'There is no such tile',
    help: 'The path is not one of C2SP tlog-tiles, or the log does not have this tile yet. Ask for the checkpoint first: it says how large the log is.',
  },
});
