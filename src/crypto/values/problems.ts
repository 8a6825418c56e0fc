import { defineProblems } from '../../kernel/problem.ts';

export const valueProblems = defineProblems('crypto', {
  invalid_value: {
    status: 422,
    title: 'The sealed value does not open here',
    help: 'The value is malformed, was changed, was sealed for another place or with another key, or its key version is gone. Which of them is not told, because an attacker could use it; the operator log has the reason where it is ours to know.',
  },
  value_too_large: {
    status: 413,
    title: 'Too large for a sealed value',
    help: 'Sealed values are held in memory as a whole, so their size is limited. Encrypt larger data in the age format, which is the default of "modelkeep encrypt".',
  },
});
