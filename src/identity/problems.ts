import { defineProblems } from '../kernel/problem.ts';

export const identityProblems = defineProblems('identity', {
  unauthenticated: {
    status: 401,
    title: 'The credential was not accepted',
    help: 'No credential, or one that does not open this keep. The answer is the same for every reason: unknown name, wrong password, revoked or expired key, disabled account. The audit log holds the reason.',
  },
  throttled: {
    status: 429,
    title: 'Too many failed attempts',
    help: 'This source, or this account, has failed to authenticate too often. Wait for the number of seconds in Retry-After. Valid API keys are not affected.',
  },
  busy: {
    status: 503,
    title: 'Too many passwords are being checked',
    help: 'Password hashing is deliberately slow and its queue is full or stood still for too long. Try again after the number of seconds in Retry-After; programs should use an API key, which needs no hashing.',
  },
  password_refused: {
    status: 422,
    title: 'The password is not acceptable',
    help: 'A password has 15 to 256 characters of any kind. It may not be a well-known password, a repetition, a sequence, or made of the names of the product, the host or the user. `rule` names what was broken.',
  },
  name_invalid: {
    status: 422,
    title: 'The name is not acceptable',
    help: 'Names have 1 to 63 lower-case letters, digits, hyphens and underscores, begin and end with a letter or digit, and do not look like an id (usr_…, sa_…).',
  },
  name_taken: {
    status: 409,
    title: 'The name is taken',
    help: 'Another user (or another service account) has this name. Choose another, or delete the other one first.',
  },
  not_found: {
    status: 404,
    title: 'There is no such principal or key',
    help: 'The name or id is not that of a user, service account or API key of this keep. Names are lower case.',
  },
  disabled: {
    status: 409,
    title: 'The principal is disabled',
    help: 'A disabled user or service account cannot be given new API keys. Enable it first.',
  },
  key_refused: {
    status: 422,
    title: 'The API key cannot be made as asked',
    help: "A user's key lives 1 to 365 days, a service account's 1 to 3650 or without end. Scopes are pairs of a permission (`model.invoke`, `model.*`, `*`) and a path that begins with a slash; a list of none is refused.",
  },
  limited_credential: {
    status: 403,
    title: 'This credential may not manage credentials',
    help: 'An API key that is limited to scopes cannot list or make API keys, and no API key can set a password: either would shed the limits of the key. Authenticate with your password.',
  },
  takeover: {
    status: 403,
    title: 'The principal holds more than you do',
    help: 'A credential made for another principal is a way to act as it, so its maker must hold every right that it holds, or role.bind. Ask an administrator.',
  },
  setup_refused: {
    status: 403,
    title: 'The setup token was not accepted',
    help: 'The token is unknown, used or older than an hour, or the keep already has a user. On the host of the keep, `modelkeep` prints a new token while no user exists.',
  },
  setup_done: {
    status: 409,
    title: 'The keep is already set up',
    help: 'A setup token is given out only while no user exists. Create further users with `modelkeep users create`.',
  },
});
