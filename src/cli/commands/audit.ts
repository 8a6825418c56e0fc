import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import type { Verification } from '../../audit/audit-log.ts';
import type { Entry } from '../../audit/entry.ts';
import { verifyLog } from '../../audit/verify.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT, usage } from '../failure.ts';
import { apiPath, type KeepClient } from '../keep-client.ts';
import { itemsOf, parseCount, parseTime } from '../resources.ts';
import { type Column, printable, renderTime } from '../table.ts';

/** An entry and its place in the log. */
interface Row {
  readonly index: number;
  readonly entry: Entry;
}

interface Page {
  readonly entries: readonly Row[];
  /** Older entries lie below this index; absent at the start of the log. */
  readonly before?: number;
}

export function addAuditCommands(program: Command, context: CommandContext): void {
  const audit = program.command('audit').description('the log of every attempt, and its proof');
  addSearch(audit, context);
  addTail(audit, context);
  addShow(audit, context);
  addVerify(audit, context);
}

const COLUMNS: readonly Column<Row>[] = [
  { title: 'INDEX', value: (row) => row.index, align: 'right' },
  { title: 'TIME', value: ({ entry }) => renderTime(entry.time) },
  { title: 'PRINCIPAL', value: ({ entry }) => principalOf(entry), shrink: true },
  { title: 'ACTION', value: ({ entry }) => actionOf(entry) },
  { title: 'DECISION', value: ({ entry }) => entry.decision },
  { title: 'REASON', value: ({ entry }) => entry.reason, shrink: true },
  { title: 'RESOURCE', value: ({ entry }) => entry.resource, shrink: true },
];

function principalOf({ principal }: Entry): string {
  return principal.name ?? principal.id ?? principal.kind;
}

function actionOf({ action, phase }: Entry): string {
  return phase === 'single' ? action : `${action} (${phase})`;
}

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

function addSearch(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('search')
    .description('search the log, newest entries first')
    .option('--principal <principal>', 'who: a name or an id')
    .option('--action <action>', 'what: model.invoke, or model.* for all actions on models')
    .option('--resource <path>', 'on what: a node of the resource tree and all below it')
    .addOption(new Option('--decision <decision>', 'how it ended').choices(['allow', 'deny', 'error']))
    .option('--from <time>', 'not before: an ISO 8601 time, or a duration ago')
    .option('--to <time>', 'before: an ISO 8601 time, or a duration ago')
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
      };
      const count = parseCount(limit, '--limit');
      const page = await withKeep((keep) => search(keep, query, count));
      output.list(page, page.entries, COLUMNS, 'no entry matches');
      if (page.before !== undefined && !output.isJson())
        output.hint(`older entries: --before ${page.before}`);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit search --decision deny --from 24h',
        'modelkeep audit search --principal ada --json',
      ),
    );
}

const PAGE_MAX = 1000;

/** Newest first. One request reads a bounded part of the log, so that a rare match takes several. */
async function search(
  keep: KeepClient,
  query: Readonly<Record<string, string | undefined>>,
  count: number,
): Promise<Page> {
  const found: Row[] = [];
  for (let before = query['before']; ; ) {
    const limit = String(Math.min(count - found.length, PAGE_MAX));
    const page = await keep.request<{ before?: number }>({
      method: 'GET',
      path: '/api/v1/audit/entries',
      query: { ...query, before, limit },
    });
    found.push(...itemsOf<Row>(page, 'entries'));
    if (page.before === undefined) return { entries: found };
    if (found.length >= count) return { entries: found, before: page.before };
    before = String(page.before);
  }
}

const FOLLOW_MS = 2000;
/** Following asks again and again, and each question is an entry: it would follow its own tail. */
const FOLLOWING = 'audit.search';

function addTail(audit: Command, { io, output, withKeep }: CommandContext): void {
  const line = (row: Row): string => {
    if (output.isJson()) return `${JSON.stringify(row)}\n`;
    const { index, entry } = row;
    const parts = [index, renderTime(entry.time), principalOf(entry), actionOf(entry), entry.resource ?? '-'];
    return `${printable([...parts, `${entry.decision}: ${entry.reason}`].join('  '))}\n`;
  };
  audit
    .command('tail')
    .description('print the newest entries, oldest first; with --json one entry a line')
    .option('-n, --lines <count>', 'how many', '20')
    .option('-f, --follow', 'go on with what happens from now on, but for audit.search, until interrupted')
    .action(async (options: { lines: string; follow?: boolean }) => {
      const count = parseCount(options.lines, '--lines');
      await withKeep(async (keep) => {
        let last = -1;
        const print = ({ entries }: Page): void => {
          for (const row of entries.toReversed()) {
            if (options.follow !== true || row.entry.action !== FOLLOWING) io.stdout.write(line(row));
          }
          last = entries[0]?.index ?? last;
        };
        print(await search(keep, {}, count));
        while (options.follow === true && !io.interrupted.aborted) {
          await io.wait(FOLLOW_MS);
          if (!io.interrupted.aborted)
            print(await search(keep, last < 0 ? {} : { after: String(last) }, Infinity));
        }
      });
    })
    .addHelpText('after', example('modelkeep audit tail -n 50 --follow'));
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
    if ((key === undefined) === (keyFile === undefined)) {
      throw usage(
        'give the verifier key with --key or --key-file',
        'the keep tells it: modelkeep audit vkey',
      );
    }
    const verifierKey = key ?? (await readFile(keyFile ?? '', 'utf8')).trim();
    return verifyLog(directory, verifierKey);
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
