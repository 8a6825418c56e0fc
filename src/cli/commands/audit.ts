import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Entry } from '../../audit/entry.ts';
import { verifyLog } from '../../audit/verify.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT, usage } from '../failure.ts';
import { apiPath, type KeepClient } from '../keep-client.ts';
import { itemsOf, parseCount, parseTime } from '../resources.ts';
import { printable, renderTime, type Column } from '../table.ts';

/** An entry with its place in the log. */
type Row = Entry & { readonly index: number };

interface SearchOptions {
  readonly principal?: string;
  readonly action?: string;
  readonly resource?: string;
  readonly decision?: string;
  readonly from?: string;
  readonly to?: string;
  readonly before?: string;
  readonly limit: string;
}

export function addAuditCommands(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('the log of every attempt, and its proof');
  addSearch(audit, context);
  addTail(audit, context);
  addShow(audit, context);
  addVerify(audit, context);
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'INDEX', value: (entry) => entry.index, align: 'right' },
  { title: 'TIME', value: (entry) => renderTime(entry.time) },
  { title: 'PRINCIPAL', value: principalOf, shrink: true },
  {
    title: 'ACTION',
    value: (entry) => (entry.phase === 'single' ? entry.action : `${entry.action} (${entry.phase})`),
  },
  { title: 'DECISION', value: (entry) => entry.decision },
  { title: 'REASON', value: (entry) => entry.reason, shrink: true },
  { title: 'RESOURCE', value: (entry) => entry.resource, shrink: true },
];

function principalOf({ principal }: Entry): string {
  return principal.name ?? principal.id ?? principal.kind;
}

function addSearch(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('search')
    .description('search the log, newest entries first')
    .option('--principal <principal>', 'who: a name or an id')
    .option('--action <action>', 'what: model.invoke')
    .option('--resource <path>', 'on what: a path of the resource tree')
    .option('--decision <decision>', 'allow, deny or error')
    .option('--from <time>', 'not before: an ISO 8601 time, or a duration ago')
    .option('--to <time>', 'not after: an ISO 8601 time, or a duration ago')
    .option('--before <index>', 'continue below this entry')
    .option('--limit <count>', 'entries at most', '50')
    .action(async (options: SearchOptions) => {
      const at = (time: string | undefined): string | undefined =>
        time === undefined ? undefined : parseTime(time, io.clock.now(), 'ago');
      const { from, to, before, limit, ...filters } = options;
      const query = {
        ...filters,
        from: at(from),
        to: at(to),
        before: before === undefined ? undefined : String(parseCount(before, '--before')),
        limit: String(parseCount(limit, '--limit')),
      };
      const answer = await withKeep((keep) => entries(keep, query));
      output.list(answer, itemsOf<Row>(answer, 'entries'), COLUMNS, 'no entry matches');
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit search --decision deny --from 24h',
        'modelkeep audit search --principal ada --json',
      ),
    );
}

function entries(keep: KeepClient, query: Readonly<Record<string, string | undefined>>): Promise<unknown> {
  return keep.request({ method: 'GET', path: '/api/v1/audit/entries', query });
}

const FOLLOW_MS = 1000;
const PAGE = '200';

function addTail(audit: Command, { io, output, withKeep }: CommandContext): void {
  const line = (entry: Row): string => {
    if (output.isJson()) return `${JSON.stringify(entry)}\n`;
    const what = `${entry.action}${entry.phase === 'single' ? '' : ` (${entry.phase})`}`;
    const parts = [entry.index, renderTime(entry.time), principalOf(entry), what, entry.resource ?? '-'];
    return `${printable([...parts, `${entry.decision}: ${entry.reason}`].join('  '))}\n`;
  };
  audit
    .command('tail')
    .description('print the newest entries, oldest first; with --json one entry a line')
    .option('-n, --lines <count>', 'how many', '20')
    .option('-f, --follow', 'go on with what happens from now on, until interrupted')
    .action(async (options: { lines: string; follow?: boolean }) => {
      const limit = String(parseCount(options.lines, '--lines'));
      await withKeep(async (keep) => {
        let last = -1;
        const print = (rows: readonly Row[]): void => {
          for (const row of rows.toSorted((a, b) => a.index - b.index)) io.stdout.write(line(row));
          last = Math.max(last, ...rows.map((row) => row.index));
        };
        print(itemsOf<Row>(await entries(keep, { limit }), 'entries'));
        while (options.follow === true && !io.interrupted.aborted) {
          await io.wait(FOLLOW_MS);
          if (!io.interrupted.aborted) print(await entriesAfter(keep, last));
        }
      });
    })
    .addHelpText('after', example('modelkeep audit tail -n 50 --follow'));
}

/** All entries above `last`: pages run downwards from the newest. */
async function entriesAfter(keep: KeepClient, last: number): Promise<readonly Row[]> {
  const found: Row[] = [];
  for (let before: string | undefined; ; ) {
    const page = itemsOf<Row>(await entries(keep, { limit: PAGE, before }), 'entries');
    found.push(...page.filter((row) => row.index > last));
    const lowest = page.at(-1)?.index ?? 0;
    if (lowest <= last + 1 || page.length < Number(PAGE)) return found;
    before = String(lowest);
  }
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

function addVerify(audit: Command, { output, withKeep, exitWith, server }: CommandContext): void {
  audit
    .command('verify')
    .argument('[dir]', 'a copy of log/, checked here, offline; without it, the keep checks its own log')
    .option('--key <vkey>', 'the verifier key, from `audit vkey`: never take it from the copy itself')
    .option('--key-file <file>', 'a file that holds the verifier key')
    .description('check that no entry was changed, removed or reordered; exit code 3 if one was')
    .action(async (directory: string | undefined, options: { key?: string; keyFile?: string }) => {
      const result = await (directory === undefined ? verifyOnline() : verifyOffline(directory, options));
      const { ok, size, problems } = result;
      const found = problems.map((problem) => `${printable(problem.message)}\n`).join('');
      output.text(result, ok ? `✓ verified ${size} entries\n` : `✗ not verified\n${found}`);
      if (!ok) exitWith(EXIT.verification);

      function verifyOnline(): Promise<Verification> {
        if (options.key !== undefined || options.keyFile !== undefined) {
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

  async function verifyOffline(
    directory: string,
    { key, keyFile }: { key?: string; keyFile?: string },
  ): Promise<Verification> {
    if (server() !== undefined) throw usage('a copy of the log is checked here: --server has no meaning');
    if ((key === undefined) === (keyFile === undefined)) {
      throw usage(
        'give the verifier key with --key or --key-file',
        'the keep tells it: modelkeep audit vkey',
      );
    }
    const verifierKey = key ?? (await readFile(keyFile ?? '', 'utf8')).trim();
    return verifyLog(join(directory), verifierKey);
  }

  audit
    .command('vkey')
    .description('print the verifier key of the log: give it to whoever is to check copies')
    .action(async () => {
      const answer = await withKeep((keep) =>
        keep.request<{ vkey: string }>({ method: 'GET', path: '/api/v1/audit/vkey' }),
      );
      output.text(answer, `${answer.vkey}\n`);
    })
    .addHelpText('after', example('modelkeep audit vkey > keep.vkey'));
}

interface Verification {
  readonly ok: boolean;
  readonly size: number;
  readonly problems: readonly { readonly message: string; readonly index?: number }[];
}
