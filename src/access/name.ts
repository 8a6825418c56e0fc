import { accessProblems } from './problems.ts';

const NAME = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
/** A name of this shape could be taken for an id. */
const ID = /^[a-z]{2,3}_[0-9a-z]{26}$/;

/** Throws `access.invalid` unless `name` may name a group or a role. */
export function assertName(name: string, what: string): void {
  if (NAME.test(name) && !ID.test(name)) return;
  throw accessProblems.invalid(
    `the name of a ${what} is 1 to 63 lower-case letters, digits, - and _, and no id`,
  );
}
