import { type Command, Option } from 'commander';
import type { Entry } from '../../audit/entry.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import type { KeepClient } from '../keep-client.ts';
import { itemsOf, parseCount, parseTime } from '../resources.ts';
import { type Column, printable, renderTable, renderTime } from '../table.ts';

/** `audit search`, `audit tail` and `audit stats`. */
export function addAuditSearchCommands(audit: Command, context: CommandContext): void {
  addSearch(audit, context);
  addTail(audit, context);
  addStats(audit, context);
}

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

const COLUMNS: readonly Column<Row>[] = [
  { title: 'INDEX', value: (row) => row.index, align: 'right' },
  { title: 'TIME', value: ({ entry }) => renderTime(entry.time) },
  { title: 'PRINCIPAL', value: ({ entry }) => nameOf(entry.principal), shrink: true },
  { title: 'ACTION', value: ({ entry }) => actionOf(entry) },
  { title: 'DECISION', value: ({ entry }) => entry.decision },
  { title: 'REASON', value: ({ entry }) => entry.reason, shrink: true },
  { title: 'RESOURCE', value: ({ entry }) => entry.resource, shrink: true },
];

function nameOf({
  kind,
  id,
  name,
}: {
  readonly kind: string;
  readonly id?: string;
  readonly name?: string;
}): string {
  return name ?? id ?? kind;
}

function actionOf({ action, phase }: Entry): string {
  return phase === 'single' ? action : `${action} (${phase})`;
}

const DECISIONS = ['allow', 'deny', 'error'];

function withFilters(command: Command): Command {
  return command
    .option('--principal <principal>', 'who: a name or an id')
    .option('--credential <id>', 'with which key or session: its id')
    .option('--action <action>', 'what: model.invoke, or model.* for all actions on models')
    .option('--resource <path>', 'on what: a node of the resource tree and all below it')
    .addOption(new Option('--decision <decision>', 'how it ended').choices(DECISIONS))
    .option('--reason <reason>', 'why: a reason, or identity.* for all of a kind')
    .option('--source <address>', 'from where: the address')
    .option('--request <id>', 'the request: the id that its answer carried in x-request-id');
}

interface Filters {
  readonly from?: string;
  readonly to?: string;
  readonly before?: string;
  readonly limit: string;
  readonly [filter: string]: string | undefined;
}

function addSearch(audit: Command, { io, output, withKeep }: CommandContext): void {
  withFilters(
    audit
      .command('search')
      .description('search the log, newest entries first')
      .argument('[words...]', 'words that all stand in the entry, in any order'),
  )
    .option('--from <time>', 'not before: an ISO 8601 time, or a duration ago')
    .option('--to <time>', 'before: an ISO 8601 time, or a duration ago')
    .option('--before <index>', 'continue below this entry')
    .option('--limit <count>', 'entries at most', '50')
    .action(async (words: readonly string[], options: Filters) => {
      const { from, to, before, limit, ...filters } = options;
      const query = {
        ...filters,
        q: words.length === 0 ? undefined : words.join(' '),
        from: timeOf(from, io),
        to: timeOf(to, io),
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
        'modelkeep audit search --source 192.0.2.7 password',
      ),
    );
}

function timeOf(text: string | undefined, io: CommandContext['io']): string | undefined {
  return text === undefined ? undefined : parseTime(text, io.clock.now(), 'ago');
}

const PAGE_MAX = 1000;

/** Newest first. One request looks at a bounded part of the log, so that a rare match may take several. */
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

interface TailOptions {
  readonly lines: string;
  readonly follow?: true;
  readonly [filter: string]: string | true | undefined;
}

function addTail(audit: Command, { io, output, withKeep }: CommandContext): void {
  const line = (row: Row): string => {
    if (output.isJson()) return `${JSON.stringify(row)}\n`;
    const { index, entry } = row;
    const parts = [
      index,
      renderTime(entry.time),
      nameOf(entry.principal),
      actionOf(entry),
      entry.resource ?? '-',
    ];
    return `${printable([...parts, `${entry.decision}: ${entry.reason}`].join('  '))}\n`;
  };
  withFilters(
    audit
      .command('tail')
      .description('print the newest entries, oldest first; with --json one entry a line')
      .option('-n, --lines <count>', 'how many', '20')
      .option('-f, --follow', 'go on with what happens from now on, but for audit.search, until interrupted'),
  )
    .action(async ({ lines, follow, ...rest }: TailOptions) => {
      const count = parseCount(lines, '--lines');
      const filters = rest as Readonly<Record<string, string | undefined>>;
      await withKeep(async (keep) => {
        let last = -1;
        const print = ({ entries }: Page): void => {
          for (const row of entries.toReversed()) {
            if (follow !== true || filters['action'] !== undefined || row.entry.action !== FOLLOWING)
              io.stdout.write(line(row));
          }
          last = entries[0]?.index ?? last;
        };
        print(await search(keep, filters, count));
        if (follow !== true) return;
        while (!io.interrupted.aborted) {
          await io.wait(FOLLOW_MS);
          if (!io.interrupted.aborted)
            print(await search(keep, last < 0 ? filters : { ...filters, after: String(last) }, Infinity));
        }
      });
    })
    .addHelpText(
      'after',
      example('modelkeep audit tail -n 50 --follow', 'modelkeep audit tail --follow --decision deny'),
    );
}

interface Counted {
  readonly name: string;
  readonly count: number;
}

interface CountedPrincipal {
  readonly kind: string;
  readonly id?: string;
  readonly name?: string;
  readonly count: number;
}

interface Stats {
  readonly from?: string;
  readonly to?: string;
  readonly total: number;
  readonly series: readonly { readonly start: string; readonly key: string; readonly count: number }[];
  readonly actions: readonly Counted[];
  readonly reasons: readonly Counted[];
  readonly principals: readonly CountedPrincipal[];
  readonly resources: readonly Counted[];
  readonly indexed: number;
  readonly size: number;
}

interface StatsOptions {
  readonly from: string;
  readonly to?: string;
  readonly by: string;
  readonly split: string;
  readonly action?: string;
  readonly decision?: string;
  readonly top: string;
}

function addStats(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('stats')
    .description('count entries by hour or by day, and the most frequent names; all times are UTC')
    .option('--from <time>', 'not before: an ISO 8601 time, or a duration ago; widened to whole hours', '24h')
    .option('--to <time>', 'before: an ISO 8601 time, or a duration ago')
    .addOption(new Option('--by <unit>', 'a line of the chart').choices(['hour', 'day']).default('hour'))
    .addOption(
      new Option('--split <field>', 'what a line tells apart')
        .choices(['decision', 'action', 'reason'])
        .default('decision'),
    )
    .option('--action <action>', 'in the chart, only this action, or model.* for all actions on models')
    .addOption(new Option('--decision <decision>', 'only what ended like this').choices(DECISIONS))
    .option('--top <count>', 'names in each list', '5')
    .action(async (options: StatsOptions) => {
      const query = {
        ...options,
        from: timeOf(options.from, io),
        to: timeOf(options.to, io),
        top: String(parseCount(options.top, '--top')),
      };
      const stats = await withKeep((keep) =>
        keep.request<Stats>({ method: 'GET', path: '/api/v1/audit/stats', query }),
      );
      output.text(stats, renderStats(stats, io.columns));
      if (stats.indexed < stats.size && !output.isJson())
        output.hint(`the index is being built: ${stats.indexed} of ${stats.size} entries are counted`);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit stats',
        'modelkeep audit stats --from 30d --by day --decision deny --split reason',
      ),
    );
}

function renderStats(stats: Stats, columns: number | undefined): string {
  if (stats.from === undefined) return 'nothing is recorded in this time\n';
  const head = `${stats.total} entries from ${renderTime(stats.from)} to ${renderTime(stats.to)}\n`;
  const lists = [
    renderTop(
      'PRINCIPAL',
      stats.principals.map((each) => ({ name: nameOf(each), count: each.count })),
      columns,
    ),
    renderTop('ACTION', stats.actions, columns),
    renderTop('REASON', stats.reasons, columns),
    renderTop('RESOURCE', stats.resources, columns),
  ];
  return [head, renderChart(stats.series, columns), ...lists].filter((part) => part !== '').join('\n');
}

const BAR_MAX = 40;
const BAR_MIN = 8;
/** One mark for each key, the most frequent first: readable without colour, and in a file. */
const MARKS = ['█', '▒', '░', '#', '+', '.'];

/** A line for each hour or day: when, how many, and a bar in which each mark stands for one key. */
function renderChart(series: Stats['series'], columns: number | undefined): string {
  if (series.length === 0) return '';
  const totals = sums(series.map(({ key, count }) => [key, count]));
  const keys = [...totals].toSorted((a, b) => b[1] - a[1]).map(([key]) => key);
  const lines = [...sums(series.map(({ start, count }) => [start, count]))];
  const highest = Math.max(...lines.map(([, count]) => count));
  const digits = String(highest).length;
  const room = (columns ?? 80) - 'YYYY-MM-DDTHH:MMZ'.length - digits - 4;
  const width = Math.min(BAR_MAX, Math.max(BAR_MIN, room));
  const mark = (key: string): string => MARKS[Math.min(keys.indexOf(key), MARKS.length - 1)] ?? '.';
  const parts = new Map<string, Map<string, number>>();
  for (const { start, key, count } of series) {
    const line = parts.get(start) ?? new Map<string, number>();
    parts.set(start, line.set(key, count));
  }
  const bar = (start: string): string =>
    keys
      .map((key) => {
        const count = parts.get(start)?.get(key) ?? 0;
        // What happened at all is seen, however rare it is.
        return mark(key).repeat(count === 0 ? 0 : Math.max(1, Math.floor((count / highest) * width)));
      })
      .join('');
  const legend = keys.slice(0, MARKS.length - 1).map((key) => `${mark(key)} ${printable(key)}`);
  if (keys.length >= MARKS.length) legend.push(`${MARKS.at(-1)} others`);
  return [
    ...lines.map(
      ([start, count]) => `${start.slice(0, 16)}Z  ${String(count).padStart(digits)}  ${bar(start)}\n`,
    ),
    `${legend.join('  ')}\n`,
  ].join('');
}

function sums(rows: readonly (readonly [string, number])[]): Map<string, number> {
  const totals = new Map<string, number>();
  for (const [key, count] of rows) totals.set(key, (totals.get(key) ?? 0) + count);
  return totals;
}

function renderTop(title: string, rows: readonly Counted[], columns: number | undefined): string {
  if (rows.length === 0) return '';
  return renderTable<Counted>(
    [
      { title: 'COUNT', value: (row) => row.count, align: 'right' },
      { title, value: (row) => row.name, shrink: true },
    ],
    rows,
    columns,
  );
}
