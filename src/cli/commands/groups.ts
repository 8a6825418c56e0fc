import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { apiPath } from '../keep-client.ts';
import { listAll } from '../pages.ts';
import { itemsOf } from '../resources.ts';
import { renderTime } from '../table.ts';

interface Group {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number | string;
}

interface Member {
  readonly id: string;
  readonly name?: string;
  readonly kind?: string;
}

export function addGroupCommands(program: Command, { io, output, withKeep }: CommandContext): void {
  const groups = program.command('groups').description('collections of principals, to bind roles to');
  groups
    .command('list')
    .description('list the groups')
    .action(async () => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<Group>(keep, 'groups', { path: '/api/v1/groups' }),
      );
      output.list(
        answer,
        rows,
        [
          { title: 'NAME', value: (group) => group.name },
          { title: 'CREATED', value: (group) => renderTime(group.createdAt) },
          { title: 'ID', value: (group) => group.id },
        ],
        'there are no groups',
      );
    })
    .addHelpText('after', example('modelkeep groups list'));
  groups
    .command('show <group>')
    .description('list the members of a group')
    .action(async (name: string) => {
      const group = await withKeep((keep) =>
        keep.request({ method: 'GET', path: apiPath`/api/v1/groups/${name}` }),
      );
      output.list(
        group,
        itemsOf<Member>(group, 'members'),
        [
          { title: 'KIND', value: (member) => member.kind },
          { title: 'NAME', value: (member) => member.name },
          { title: 'ID', value: (member) => member.id },
        ],
        `group ${name} has no members`,
      );
    })
    .addHelpText('after', example('modelkeep groups show fraud-team'));
  groups
    .command('create <name>')
    .description('create an empty group')
    .action(async (name: string) => {
      const group = await withKeep((keep) =>
        keep.request({ method: 'POST', path: '/api/v1/groups', body: { name } }),
      );
      output.done(group, `created group ${name}`);
    })
    .addHelpText('after', example('modelkeep groups create fraud-team'));
  groups
    .command('delete <group>')
    .description('delete a group and the bindings to it; its members stay')
    .option('--yes', 'do not ask')
    .action(async (name: string, { yes }: { yes?: boolean }) => {
      await requireYes(io, yes, `delete group ${name} and its bindings?`);
      const path = apiPath`/api/v1/groups/${name}`;
      output.done(
        await withKeep((keep) => keep.request({ method: 'DELETE', path })),
        `deleted group ${name}`,
      );
    })
    .addHelpText('after', example('modelkeep groups delete fraud-team --yes'));
  for (const [verb, method, done] of [
    ['add', 'PUT', 'is in'],
    ['remove', 'DELETE', 'is not in'],
  ] as const) {
    groups
      .command(`${verb} <group> <members...>`)
      .description(`${verb} members: user:NAME, service-account:NAME, group:NAME or an id`)
      .action(async (group: string, members: readonly string[]) => {
        await withKeep(async (keep) => {
          for (const member of members) {
            await keep.request({ method, path: apiPath`/api/v1/groups/${group}/members/${member}` });
          }
        });
        output.done({ group, members }, `${members.join(', ')} ${done} ${group}`);
      })
      .addHelpText('after', example(`modelkeep groups ${verb} fraud-team user:ada service-account:checkout`));
  }
}
