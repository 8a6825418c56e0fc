import { defineProblems } from '../kernel/problem.ts';

export const accessProblems = defineProblems('access', {
  denied: {
    status: 403,
    title: 'The right is missing',
    help: 'The caller is known, and may not do this here. The members `permission` and `scope` name what is missing; `modelkeep explain` says why and who can grant it.',
  },
  escalation: {
    status: 403,
    title: 'Nobody gives what they do not hold',
    help: 'The change would hand on a permission that its author does not hold on the whole scope for the whole time. Ask someone who holds it, or who holds role.bind (for bindings and memberships) or role.escalate (for roles).',
  },
  self_grant: {
    status: 403,
    title: 'Nobody raises their own rights',
    help: 'The change would give its author, directly or through a group or role, more than they hold. Someone else has to make it.',
  },
  last_admin: {
    status: 409,
    title: 'The last admin stays',
    help: 'One user or service account must keep a lasting binding of the role admin at /. Bind another one first.',
  },
  admin_exists: {
    status: 409,
    title: 'An admin exists already',
    help: 'The first admin is made once. Ask an admin for a binding, or use the command line on the host of the keep.',
  },
  not_found: {
    status: 404,
    title: 'No such role, group, binding or subject',
    help: 'The name or id in the request names nothing. Subjects are written user:NAME, service-account:NAME, group:NAME, or as an id.',
  },
  name_taken: {
    status: 409,
    title: 'The name is taken',
    help: 'A group or role of this name exists. Built-in roles keep their names.',
  },
  binding_exists: {
    status: 409,
    title: 'The binding exists already',
    help: 'The same subject has the same role with the same effect on the same scope for the same time. Nothing was changed.',
  },
  role_builtin: {
    status: 409,
    title: 'Built-in roles do not change',
    help: 'Make a role of your own; it may name a built-in role as its parent.',
  },
  role_in_use: {
    status: 409,
    title: 'The role is in use',
    help: 'Bindings or other roles refer to this role. Remove them first: a binding without its role would mean nothing, or worse, a denial would be lost.',
  },
  cycle: {
    status: 409,
    title: 'The change would make a circle',
    help: 'A role cannot inherit from itself, and a group cannot contain itself, however many steps lie between.',
  },
  invalid: {
    status: 422,
    title: 'Not a valid role, group or binding',
    help: 'The detail names the field: a name that is not lower-case letters, digits, `-` and `_`; a permission that is not in the catalogue; a scope that is not a node of the resource tree; or times that end before they begin.',
  },
  conflict: {
    status: 409,
    title: 'The policy changed meanwhile',
    help: 'Another change of roles, groups or bindings came in between, again and again. Try once more.',
  },
  policy_corrupt: {
    status: 500,
    title: 'The stored policy is damaged',
    help: 'A stored role or binding names a permission, scope or role that does not exist. Nothing is guessed: restore the database from a backup.',
  },
});
