import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { usage } from '../failure.ts';
import { apiPath } from '../keep-client.ts';
import { listAll } from '../pages.ts';
import { readNewPassword } from '../secret-input.ts';
import { renderTime, type Column } from '../table.ts';

interface User {
  readonly id: string;
  readonly name: string;
  readonly display: string;
  readonly state: string;
  readonly createdAt: number | string;
}

interface PasswordOptions {
  readonly passwordFile?: string;
  readonly passwordStdin?: boolean;
}

const COLUMNS: readonly Column<User>[] = [
  { title: 'NAME', value: (user) => user.name },
  { title: 'STATE', value: (user) => user.state },
  { title: 'DISPLAY', value: (user) => user.display, shrink: true },
  { title: 'CREATED', value: (user) => renderTime(user.createdAt) },
  { title: 'ID', value: (user) => user.id },
];

export function addUserCommands(program: Command, context: CommandContext): void {
  const users = program.command('users').description('people who may sign in');
  addReading(users, context, 'user');
  addUserChanges(users, context);
  addState(users, context, 'user');

  const accounts = program.command('service-accounts').description('workloads that call with an API key');
  addReading(accounts, context, 'service account');
  accounts
    .command('create <name>')
    .description('create a service account; it can do nothing until it has a binding and a key')
    .option('--display <text>', 'a label for people')
    .action(async (name: string, { display }: { display?: string }) => {
      const account = await context.withKeep((keep) =>
        keep.request<User>({ method: 'POST', path: '/api/v1/service-accounts', body: { name, display } }),
      );
      context.output.done(account, `created service account ${name}`);
      if (!context.output.isJson())
        context.output.hint(`give it a key: modelkeep api-keys create service-account:${name}`);
    })
    .addHelpText(
      'after',
      example('modelkeep service-accounts create checkout --display "The checkout service"'),
    );
  addState(accounts, context, 'service account');
}

/** Users and service accounts are read and switched on and off alike. */
type Kind = 'user' | 'service account';

const PATHS = { user: 'users', 'service account': 'service-accounts' } as const;
const MEMBERS = { user: 'users', 'service account': 'serviceAccounts' } as const;

function addReading(group: Command, { output, withKeep }: CommandContext, kind: Kind): void {
  group
    .command('list')
    .description(`list the ${kind}s`)
    .action(async () => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<User>(keep, MEMBERS[kind], { path: `/api/v1/${PATHS[kind]}` }),
      );
      output.list(answer, rows, COLUMNS, `there are no ${kind}s`);
    })
    .addHelpText('after', example(`modelkeep ${PATHS[kind]} list`));
  group
    .command('show <name>')
    .description(`show one ${kind}, by name or id`)
    .action(async (name: string) => {
      const path = `/api/v1/${PATHS[kind]}/${encodeURIComponent(name)}`;
      const user = await withKeep((keep) => keep.request<User>({ method: 'GET', path }));
      output.facts(user, [
        ['name', user.name],
        ['id', user.id],
        ['display', user.display],
        ['state', user.state],
        ['created', renderTime(user.createdAt)],
      ]);
    })
    .addHelpText('after', example(`modelkeep ${PATHS[kind]} show ${kind === 'user' ? 'ada' : 'checkout'}`));
}

function addUserChanges(users: Command, { io, output, withKeep }: CommandContext): void {
  users
    .command('create <name>')
    .description('create a user; the password is asked for on the terminal')
    .option('--display <text>', 'a label for people')
    .option('--role <role>', 'also bind this role to the user')
    .option('--scope <scope>', 'where the role counts; / is everywhere')
    .option('--password-file <file>', 'read the password from the first line of a file')
    .option('--password-stdin', 'read the password from the first line of stdin')
    .option('--no-password', 'create the user without a password')
    .action(async (name: string, options: PasswordOptions & NewUser) => {
      if ((options.role === undefined) !== (options.scope === undefined)) {
        throw usage(
          '--role and --scope belong together',
          'for example --role viewer --scope /projects/fraud',
        );
      }
      const password = options.password
        ? await readNewPassword(io, { file: options.passwordFile, stdin: options.passwordStdin }, name)
        : undefined;
      const user = await withKeep(async (keep) => {
        const created = await keep.request<User>({
          method: 'POST',
          path: '/api/v1/users',
          body: { name, display: options.display, password: password?.reveal() },
        });
        if (options.role !== undefined) {
          const body = { subject: `user:${name}`, role: options.role, scope: options.scope };
          await keep.request({ method: 'POST', path: '/api/v1/bindings', body }).catch((error: unknown) => {
            output.talk(`created user ${name}, but without the role`);
            throw error;
          });
        }
        return created;
      });
      const bound = options.role === undefined ? '' : `, ${options.role} on ${options.scope}`;
      output.done(user, `created user ${name}${bound}`);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep users create ada --role ml-engineer --scope /projects/fraud',
        'modelkeep users create ada --password-stdin < password.txt',
      ),
    );
  users
    .command('set-password <user>')
    .description('set a new password; sessions and cached credentials of the user end at once')
    .option('--password-file <file>', 'read the password from the first line of a file')
    .option('--password-stdin', 'read the password from the first line of stdin')
    .action(async (name: string, options: PasswordOptions) => {
      const password = await readNewPassword(
        io,
        { file: options.passwordFile, stdin: options.passwordStdin },
        name,
      );
      const path = apiPath`/api/v1/users/${name}/password`;
      const answer = await withKeep((keep) =>
        keep.request({ method: 'PUT', path, body: { password: password.reveal() } }),
      );
      output.done(answer, `set the password of ${name}`);
    })
    .addHelpText('after', example('modelkeep users set-password ada'));
}

interface NewUser {
  readonly display?: string;
  readonly role?: string;
  readonly scope?: string;
  /** False with `--no-password`. */
  readonly password: boolean;
}

function addState(group: Command, { io, output, withKeep }: CommandContext, kind: Kind): void {
  const pathOf = (name: string): string => `/api/v1/${PATHS[kind]}/${encodeURIComponent(name)}`;
  const sample = kind === 'user' ? 'ada' : 'checkout';
  for (const [verb, state] of [
    ['disable', 'disabled'],
    ['enable', 'active'],
  ] as const) {
    group
      .command(`${verb} <name>`)
      .description(`${verb} a ${kind}; this takes effect at once`)
      .action(async (name: string) => {
        const answer = await withKeep((keep) =>
          keep.request({ method: 'PATCH', path: pathOf(name), body: { state } }),
        );
        output.done(answer, `${kind} ${name} is ${state}`);
      })
      .addHelpText('after', example(`modelkeep ${PATHS[kind]} ${verb} ${sample}`));
  }
  group
    .command('delete <name>')
    .description(`delete a ${kind} with its credentials and bindings; the audit log keeps what it did`)
    .option('--yes', 'do not ask')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      await requireYes(io, yes, `delete ${kind} ${name}?`);
      const answer = await withKeep((keep) => keep.request({ method: 'DELETE', path: pathOf(name) }));
      output.done(answer, `deleted ${kind} ${name}`);
    })
    .addHelpText('after', example(`modelkeep ${PATHS[kind]} delete ${sample} --yes`));
}
