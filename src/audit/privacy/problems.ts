import { defineProblems } from '../../kernel/problem.ts';

export const privacyProblems = defineProblems('privacy', {
  key_unreadable: {
    status: 500,
    title: 'A month of addresses cannot be opened',
    help: 'The file under privacy/ that holds the key of a month is damaged, or sealed to a key that the ring does not hold. Restore the file or the key ring from a backup. For a past month the file can be deleted instead: its addresses are then gone for good.',
  },
  month_current: {
    status: 409,
    title: 'The month is not over',
    help: 'A month is erased when it is over (UTC): entries that are written now are sealed with its key.',
  },
  month_not_found: {
    status: 404,
    title: 'There is no key of this month',
    help: 'Nothing was recorded in this month, or it has been erased. List the months with: modelkeep audit months.',
  },
  held: {
    status: 409,
    title: 'A legal hold forbids this',
    help: 'Nothing of the log is erased or deleted while a hold stands. Whoever may configure the log lifts it with: modelkeep audit hold lift.',
  },
  not_held: {
    status: 404,
    title: 'There is no legal hold',
    help: 'None was set, or it has been lifted.',
  },
});
