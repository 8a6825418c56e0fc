import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { listAll } from '../pages.ts';
import { renderTime } from '../table.ts';

interface Project {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number | string;
}

export function addProjectCommands(program: Command, { output, withKeep }: CommandContext): void {
  const projects = program.command('projects').description('the roots of the resource tree');
  projects
    .command('list')
    .description('list the projects')
    .action(async () => {
      const { answer, rows } = await withKeep((keep) =>
        listAll<Project>(keep, 'projects', { path: '/api/v1/projects' }),
      );
      output.list(
        answer,
        rows,
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
