import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { apiPath } from '../keep-client.ts';
import { listAll } from '../pages.ts';
import { collect, parseTime } from '../resources.ts';
import { renderTime } from '../table.ts';

interface Role {
  readonly name: string;
  readonly description: string;
  readonly builtIn?: boolean;
  readonly permissions: readonly string[];
  readonly parents: readonly string[];
  /** Its own permissions and those of its parents, patterns resolved. */
  readonly effective: readonly string[];
}

interface Binding {
  readonly id: string;
  readonly subject: string;
  readonly role: string;
  readonly scope: string;
  readonly effect: 'allow' | 'deny';
  readonly notBefore: number | string | null;
  readonly expiresAt: number | string | null;
  readonly reason: string;
}

interface RoleOptions {
  readonly description?: string;
  readonly permission?: readonly string[];
  readonly parent?: readonly string[];
}

export function addPolicyCommands(program: Command, context: CommandContext): void {
  addRoles(program, context);
  addBindings(program, context);
}

function addRoles(program: Command, { io, output, withKeep }: CommandContext): void {
  const roles = program.command('roles').description('named sets of permissions');
  roles
    .command('list')
    .description('list the roles, built-in ones included')
    .action(async () => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<Role>(keep, 'roles', { path: '/api/v1/roles' }),
      );
      output.list(
        answer,
        rows,
        [
          { title: 'NAME', value: (role) => role.name },
          { title: 'BUILT IN', value: (role) => role.builtIn === true },
          { title: 'PERMISSIONS', value: (role) => role.effective.length, align: 'right' },
          { title: 'INHERITS', value: (role) => role.parents.join(', ') },
          { title: 'DESCRIPTION', value: (role) => role.description, shrink: true },
        ],
        'there are no roles',
      );
    })
    .addHelpText('after', example('modelkeep roles list'));
  roles
    .command('show <role>')
    .description('show a role, and all that it permits')
    .action(async (name: string) => {
      const path = apiPath`/api/v1/roles/${name}`;
      const role = await withKeep((keep) => keep.request<Role>({ method: 'GET', path }));
      output.facts(role, [
        ['name', role.name],
        ['description', role.description],
        ['inherits', role.parents.join(', ')],
        ['given', role.permissions.join(', ')],
        ...role.effective.map((permission, index) => [index === 0 ? 'permissions' : '', permission] as const),
      ]);
    })
    .addHelpText('after', example('modelkeep roles show ml-engineer'));
  const withRoleOptions = (command: Command): Command =>
    command
      .option('--description <text>', 'what the role is for')
      .option('--permission <permission>', 'resource.action, or resource.*; may be repeated', collect)
      .option('--parent <role>', 'a role whose permissions it inherits; may be repeated', collect);
  withRoleOptions(roles.command('create <name>').description('create a role'))
    .action(async (name: string, options: RoleOptions) => {
      const { description = '', permission: permissions = [], parent: parents = [] } = options;
      const body = { name, description, permissions, parents };
      const role = await withKeep((keep) => keep.request({ method: 'POST', path: '/api/v1/roles', body }));
      output.done(role, `created role ${name}`);
    })
    .addHelpText(
      'after',
      example('modelkeep roles create scorer --permission model.invoke --permission model.read'),
    );
  withRoleOptions(
    roles.command('update <role>').description('replace what is given of a role; the rest stays'),
  )
    .action(async (name: string, options: RoleOptions) => {
      const path = apiPath`/api/v1/roles/${name}`;
      const role = await withKeep(async (keep) => {
        const before = await keep.request<Role>({ method: 'GET', path });
        const body = {
          name: before.name,
          description: options.description ?? before.description,
          permissions: options.permission ?? before.permissions,
          parents: options.parent ?? before.parents,
        };
        return keep.request({ method: 'PUT', path, body });
      });
      output.done(role, `updated role ${name}`);
    })
    .addHelpText('after', example('modelkeep roles update scorer --permission model.invoke'));
  roles
    .command('delete <role>')
    .description('delete a custom role')
    .option('--yes', 'do not ask')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      await requireYes(io, yes, `delete role ${name}?`);
      const path = apiPath`/api/v1/roles/${name}`;
      output.done(await withKeep((keep) => keep.request({ method: 'DELETE', path })), `deleted role ${name}`);
    })
    .addHelpText('after', example('modelkeep roles delete scorer --yes'));
}

interface BindingOptions {
  readonly deny?: boolean;
  readonly from?: string;
  readonly until?: string;
  readonly reason?: string;
}

function addBindings(program: Command, { io, output, withKeep }: CommandContext): void {
  const bindings = program.command('bindings').description('who has which role, and where');
  bindings
    .command('list')
    .description('list the bindings')
    .option('--subject <principal>', 'only those of user:NAME, service-account:NAME, group:NAME or an id')
    .option('--role <role>', 'only those of this role')
    .option('--scope <scope>', 'only those on exactly this scope')
    .action(async (query: { subject?: string; role?: string; scope?: string }) => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<Binding>(keep, 'bindings', { path: '/api/v1/bindings', query }),
      );
      output.list(
        answer,
        rows,
        [
          { title: 'SUBJECT', value: (binding) => binding.subject },
          { title: 'EFFECT', value: (binding) => binding.effect },
          { title: 'ROLE', value: (binding) => binding.role },
          { title: 'SCOPE', value: (binding) => binding.scope },
          { title: 'FROM', value: (binding) => renderTime(binding.notBefore) },
          { title: 'UNTIL', value: (binding) => renderTime(binding.expiresAt) },
          { title: 'REASON', value: (binding) => binding.reason, shrink: true },
          { title: 'ID', value: (binding) => binding.id },
        ],
        'there are no bindings: nobody may do anything',
      );
    })
    .addHelpText('after', example('modelkeep bindings list'));
  bindings
    .command('create <subject> <role> <scope>')
    .description('give a role on a scope to user:NAME, service-account:NAME, group:NAME or an id')
    .option('--deny', 'take these rights away instead; a deny wins over every allow')
    .option('--from <time>', 'when it begins: an ISO 8601 time, or a duration from now')
    .option('--until <time>', 'when it ends: an ISO 8601 time, or a duration from now')
    .option('--reason <text>', 'why, for whoever reviews it')
    .action(async (subject: string, role: string, scope: string, options: BindingOptions) => {
      const at = (time: string | undefined): string | undefined =>
        time === undefined ? undefined : parseTime(time, io.clock.now(), 'ahead');
      const body = {
        subject,
        role,
        scope,
        effect: options.deny === true ? 'deny' : 'allow',
        notBefore: at(options.from),
        expiresAt: at(options.until),
        reason: options.reason,
      };
      const binding = await withKeep((keep) =>
        keep.request<Binding>({ method: 'POST', path: '/api/v1/bindings', body }),
      );
      output.done(binding, `${body.effect}: ${subject} has ${role} on ${scope} (${binding.id})`);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep bindings create user:ada ml-engineer /projects/fraud',
        'modelkeep bindings create group:interns consumer /projects/fraud --until 90d --reason "summer term"',
      ),
    );
  bindings
    .command('delete <binding>')
    .description('delete a binding, by its id; the rights end at once')
    .action(async (id: string) => {
      const path = apiPath`/api/v1/bindings/${id}`;
      output.done(await withKeep((keep) => keep.request({ method: 'DELETE', path })), `deleted ${id}`);
    })
    .addHelpText('after', example('modelkeep bindings delete bnd_01jd3q6v9s8r7k5m2n4p6x8z0a'));
}
