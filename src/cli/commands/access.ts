import type { Command } from 'commander';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT } from '../failure.ts';
import { listAll } from '../pages.ts';
import { printable } from '../table.ts';

interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

interface Holder {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
}

interface Explanation extends Decision {
  readonly matched: readonly {
    readonly effect: string;
    readonly role: string;
    readonly scope: string;
    readonly via: string;
    readonly binding: string;
  }[];
  readonly nearMisses: readonly { readonly hint: string }[];
  /** Who could give the right; only told to those who may ask about others. */
  readonly grantors: readonly { readonly id: string; readonly name?: string }[];
}

export function addAccessCommands(program: Command, { output, withKeep, exitWith }: CommandContext): void {
  program
    .command('can-i')
    .argument('<permission>', 'resource.action')
    .argument('[scope]', 'where', '/')
    .description('say whether you may; exit code 0 for yes, 4 for no')
    .action(async (permission: string, scope: string) => {
      const body = { permission, scope };
      const decision = await withKeep((keep) =>
        keep.request<Decision>({ method: 'POST', path: '/api/v1/access/can-i', body }),
      );
      output.text(decision, `${decision.allowed ? 'yes' : 'no'}: ${printable(decision.reason)}\n`);
      if (!decision.allowed) exitWith(EXIT.denied);
    })
    .addHelpText(
      'after',
      `
The keep's own host may do everything, so ask as yourself: with --server and your credential.
${example('modelkeep --server https://keep.example.com can-i model.invoke /projects/fraud/models/score')}`,
    );
  program
    .command('who-can')
    .argument('<permission>', 'resource.action')
    .argument('<scope>', 'where')
    .description('list the principals that may')
    .action(async (permission: string, scope: string) => {
      const query = { permission, scope };
      const { answer, rows } = await withKeep((keep) =>
        listAll<Holder>(keep, 'principals', { path: '/api/v1/access/who-can', query }),
      );
      output.list(
        answer,
        rows,
        [
          { title: 'KIND', value: (principal) => principal.kind },
          { title: 'NAME', value: (principal) => principal.name },
          { title: 'ID', value: (principal) => principal.id },
        ],
        `nobody has ${permission} on ${scope}`,
      );
    })
    .addHelpText('after', example('modelkeep who-can model.download /projects/fraud/models/score'));
  program
    .command('explain')
    .argument('<permission>', 'resource.action')
    .argument('[scope]', 'where', '/')
    .option('--subject <principal>', 'about user:NAME, service-account:NAME or an id instead of yourself')
    .description('tell which bindings decide, and how; exit code 0 for yes, 4 for no')
    .action(async (permission: string, scope: string, { subject }: { subject?: string }) => {
      const body = { permission, scope, subject };
      const decision = await withKeep((keep) =>
        keep.request<Explanation>({ method: 'POST', path: '/api/v1/access/explain', body }),
      );
      output.text(decision, renderExplanation(decision));
      if (!decision.allowed) exitWith(EXIT.denied);
    })
    .addHelpText(
      'after',
      example('modelkeep explain model.invoke /projects/fraud/models/score --subject user:bob'),
    );
}

function renderExplanation({ allowed, reason, matched, nearMisses, grantors }: Explanation): string {
  const lines = [
    `${allowed ? 'yes' : 'no'}: ${reason}`,
    ...matched.map(
      ({ effect, role, scope, via, binding }) => `  ${effect}: ${via} has ${role} on ${scope} (${binding})`,
    ),
    ...nearMisses.map(({ hint }) => `  nearly: ${hint}`),
    ...(grantors.length === 0
      ? []
      : [`  can be given by: ${grantors.map(({ name, id }) => name ?? id).join(', ')}`]),
  ];
  return lines.map((line) => `${printable(line)}\n`).join('');
}
