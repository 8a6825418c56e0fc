import type { Command } from 'commander';
import type { Hold } from '../../audit/privacy/hold.ts';
import type { RetentionPlan } from '../../audit/privacy/retention.ts';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { usage } from '../failure.ts';
import { apiPath } from '../keep-client.ts';
import { itemsOf } from '../resources.ts';
import { type Column, printable, renderTime } from '../table.ts';

/** `audit months`, `erase-month`, `retention` and `hold`: below the command `audit`. */
export function addAuditPrivacyCommands(audit: Command, context: CommandContext): void {
  addMonths(audit, context);
  addEraseMonth(audit, context);
  addRetention(audit, context);
  addHold(audit, context);
}

interface MonthRow {
  readonly month: string;
}

const MONTHS: readonly Column<MonthRow>[] = [{ title: 'MONTH', value: ({ month }) => month }];

function addMonths(audit: Command, { output, withKeep }: CommandContext): void {
  audit
    .command('months')
    .description('list the months whose addresses can be revealed')
    .action(async () => {
      const answer = await withKeep((keep) => keep.request({ method: 'GET', path: '/api/v1/audit/months' }));
      output.list(answer, itemsOf<MonthRow>(answer, 'months'), MONTHS, 'no month can be revealed');
    })
    .addHelpText('after', example('modelkeep audit months'));
}

function addEraseMonth(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('erase-month <month>')
    .description('erase the addresses and clients in the entries of a month, for good; no entry changes')
    .option('-y, --yes', 'do not ask')
    .action(async (month: string, options: { yes?: boolean }) => {
      if (!/^\d{4}-(?:0[1-9]|1[0-2])$/.test(month)) throw usage(`${month} is not a month such as 2026-11`);
      await requireYes(io, options.yes, `erase where every request of ${month} came from, for good?`);
      await withKeep((keep) =>
        keep.request({ method: 'DELETE', path: apiPath`/api/v1/audit/months/${month}` }),
      );
      output.done({ erased: month }, `erased the addresses of ${month}; copies of privacy/ still have them`);
    })
    .addHelpText('after', example('modelkeep audit erase-month 2026-01 --yes'));
}

function addRetention(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('retention')
    .description('show how long entries are kept and what could be deleted now')
    .option('--apply', 'delete it; the hashes stay, and every proof with them')
    .option('-y, --yes', 'do not ask')
    .action(async (options: { apply?: boolean; yes?: boolean }) => {
      const path = '/api/v1/audit/retention';
      if (options.apply !== true) {
        const plan = await withKeep((keep) => keep.request<RetentionPlan>({ method: 'GET', path }));
        output.text(plan, describePlan(plan));
        return;
      }
      await requireYes(io, options.yes, 'delete the entries that the policy no longer keeps, for good?');
      const result = await withKeep((keep) =>
        keep.request<{ deleted: number }>({ method: 'POST', path: `${path}/apply` }),
      );
      output.done(result, `deleted ${result.deleted} ${result.deleted === 1 ? 'entry' : 'entries'}`);
    })
    .addHelpText('after', example('modelkeep audit retention', 'modelkeep audit retention --apply --yes'));
}

function describePlan({ policy, keptFrom, first, below, size, held }: RetentionPlan): string {
  const kept = keptFrom === undefined ? 'all entries are kept' : `entries are kept from ${keptFrom} on`;
  return [
    `policy     ${policy}: ${kept}`,
    `entries    ${first} to ${size - 1}`,
    `deletable  ${Math.max(0, below - first)}${held ? ', but a legal hold stands' : ''}`,
    '',
  ].join('\n');
}

function addHold(audit: Command, { output, withKeep }: CommandContext): void {
  const path = '/api/v1/audit/hold';
  const show = (hold: Hold): string =>
    printable(`a legal hold stands since ${renderTime(hold.since)}, set by ${hold.by}: ${hold.reason}`);
  const command = audit.command('hold').description('the legal hold: nothing is erased while it stands');
  command
    .command('show')
    .description('show since when a hold stands, who set it, and why')
    .action(async () => {
      const hold = await withKeep((keep) => keep.request<Hold>({ method: 'GET', path }));
      output.text(hold, `${show(hold)}\n`);
    })
    .addHelpText('after', example('modelkeep audit hold show'));
  command
    .command('set <reason>')
    .description('set a hold, or replace the one that stands')
    .action(async (reason: string) => {
      const hold = await withKeep((keep) => keep.request<Hold>({ method: 'PUT', path, body: { reason } }));
      output.done(hold, show(hold));
    })
    .addHelpText('after', example('modelkeep audit hold set case-4711'));
  command
    .command('lift')
    .description('lift the hold: retention goes on')
    .action(async () => {
      await withKeep((keep) => keep.request({ method: 'DELETE', path }));
      output.done({ held: false }, 'the hold is lifted');
    })
    .addHelpText('after', example('modelkeep audit hold lift'));
}
