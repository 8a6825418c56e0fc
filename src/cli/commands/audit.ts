import type { Command } from 'commander';
import type { Verification } from '../../audit/audit-log.ts';
import { verifyLog } from '../../audit/verify.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT, usage } from '../failure.ts';
import { apiPath } from '../keep-client.ts';
import { printable } from '../table.ts';
import { addAuditExport } from './audit-export.ts';
import { addAuditFsck } from './audit-fsck.ts';
import { collectKey, KEY, KEY_FILE, type KeyOptions, readKeys, successorsText } from './audit-keys.ts';
import { addAuditPrivacyCommands } from './audit-privacy.ts';
import { addAuditReceiptCommands } from './audit-receipts.ts';
import { addReplayCommand } from './audit-replay.ts';
import { addAuditSearchCommands } from './audit-search.ts';
import { addAuditWitnessCommands } from './audit-witness.ts';

export function addAuditCommands(program: Command, context: CommandContext, version: string): void {
  const audit = program.command('audit').description('the log of every attempt, and its proof');
  addAuditSearchCommands(audit, context);
  addShow(audit, context);
  addVerify(audit, context);
  addAuditFsck(audit, context);
  addAuditReceiptCommands(audit, context);
  addAuditWitnessCommands(audit, context);
  addReplayCommand(audit, context);
  addAuditPrivacyCommands(audit, context);
  addAuditExport(audit, context, version);
}

function addShow(audit: Command, { output, withKeep }: CommandContext): void {
  audit
    .command('show <index>')
    .description('print one entry, whole')
    .action(async (index: string) => {
      if (!/^\d{1,15}$/.test(index)) throw usage(`${index} is not the index of an entry`);
      const path = apiPath`/api/v1/audit/entries/${index}`;
      const entry = await withKeep((keep) => keep.request({ method: 'GET', path }));
      output.text(entry, `${JSON.stringify(entry, undefined, 2)}\n`);
    })
    .addHelpText('after', example('modelkeep audit show 1041'));
}

function addVerify(audit: Command, { output, withKeep, exitWith }: CommandContext): void {
  audit
    .command('verify')
    .argument('[dir]', 'a copy of log/, checked here, offline; without it, the keep checks its own log')
    .option(...KEY, collectKey, [])
    .option(...KEY_FILE)
    .description('check that no entry was changed, removed or reordered; exit code 3 if one was')
    .action(async (directory: string | undefined, options: KeyOptions) => {
      const result = await (directory === undefined
        ? verifyOnline()
        : verifyLog(directory, await readKeys(options)));
      const { ok, size, problems } = result;
      const found = problems.map((problem) => `${printable(problem.message)}\n`).join('');
      const good = `✓ verified ${size} entries\n${successorsText(result)}`;
      output.text(result, ok ? good : `✗ not verified\n${found}`);
      if (!ok) exitWith(EXIT.verification);

      function verifyOnline(): Promise<Verification> {
        if (options.key.length > 0 || options.keyFile !== undefined) {
          throw usage(
            '--key needs the directory of a copy of the log',
            'modelkeep audit verify DIR --key VKEY',
          );
        }
        return withKeep((keep) =>
          keep.request<Verification>({ method: 'POST', path: '/api/v1/audit/verify' }),
        );
      }
    })
    .addHelpText(
      'after',
      example('modelkeep audit verify', 'modelkeep audit verify ./log-copy --key-file keep.vkey'),
    );

  audit
    .command('vkey')
    .description(
      'print the verifier key of the log, for whoever is to check copies; while it changes, the old one too',
    )
    .action(async () => {
      const answer = await withKeep((keep) =>
        keep.request<{ vkey: string; vkeys?: readonly string[] }>({
          method: 'GET',
          path: '/api/v1/audit/vkey',
        }),
      );
      const { vkey, vkeys = [vkey] } = answer;
      output.text(answer, vkeys.map((each) => `${each}\n`).join(''));
    })
    .addHelpText('after', example('modelkeep audit vkey > keep.vkey'));
}
