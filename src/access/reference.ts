import { isSensitive, PERMISSIONS } from './catalogue.ts';
import { BUILTIN_ROLES } from './roles.ts';

/** docs/reference/permissions.md, as the code says it. */
export function renderPermissionsReference(): string {
  const roles = BUILTIN_ROLES;
  const head = ['permission', ...roles.map((role) => role.name)];
  const rows = PERMISSIONS.map((permission) => [
    `\`${permission}\`${isSensitive(permission) ? ' †' : ''}`,
    ...roles.map((role) => (role.permissions.includes(permission) ? '✓' : '')),
  ]);
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `# Permissions and built-in roles

A permission is \`resource.action\`. The catalogue below is the whole of it; it is fixed in code. A role of your own lists
permissions, and patterns: \`model.*\` (all actions on models), \`*.read\` (one action everywhere), \`*\`. **No pattern matches
a permission marked †**: those must be named, in a role as in the scopes of an API key.

A role gives nothing by itself. A binding gives it to a user, a service account or a group, on a scope: \`/\`, a node of the
resource tree with everything below it (\`/projects/fraud\`), or a node with \`*\` for one whole segment
(\`/projects/*/models/score\`). Every matching denial overrides every allowance; without a matching binding the answer is no.

## Built-in roles

${roles.map((role) => `- **${role.name}**: ${role.description}.`).join('\n')}

\`key.export\` and \`key.destroy\` are held by no built-in role: they are for two people together.

## Who has what

${[line(head), line(head.map((_, at) => (at === 0 ? '---' : ':-:'))), ...rows.map(line)].join('\n')}

## Changing rights

Nobody gives what they do not hold. Whoever writes a binding, a membership or a role must hold everything that it hands on,
on the whole scope and for the whole time, or hold \`role.bind\` (bindings, memberships) or \`role.escalate\` (roles) there.
Nobody raises their own rights, even so. Denials count: of the author's own, wherever inside the scope they lie; and lifting
a denial hands on what it denied. One user or service account always keeps a lasting binding of \`admin\` at \`/\`.
The command line on the keep's own host is bound by the last rule only.
`;
}
