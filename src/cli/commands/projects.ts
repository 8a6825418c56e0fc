import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { itemsOf } from '../resources.ts';
import { renderTime } from '../table.ts';

export function addProjectCommands(program: Command, { output, withKeep }: CommandContext): void {
  const projects = program.command('projects').description('the roots of the resource tree');
  projects
    .command('list')
    .description('list the projects')
    .action(async () => {
      const answer = await withKeep((keep) => keep.request({ method: 'GET', path: '/api/v1/projects' }));
      output.list(
        answer,
        itemsOf<{ id: string; name: string; createdAt: number | string }>(answer, 'projects'),
        [
          { title: 'NAME', value: (project) => project.name },
          { title: 'CREATED', value: (project) => renderTime(project.createdAt) },
          { title: 'ID', value: (project) => project.id },
        ],
        'there are no projects',
      );
    })
    .addHelpText('after', example('modelkeep projects list'));
  projects
    .command('create <name>')
    .description('create a project')
    .action(async (name: string) => {
      const body = { name };
      const project = await withKeep((keep) =>
        keep.request({ method: 'POST', path: '/api/v1/projects', body }),
      );
      output.done(project, `created project ${name}`);
    })
    .addHelpText('after', example('modelkeep projects create fraud'));
}
