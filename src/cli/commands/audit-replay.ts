import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import type { IndexedEntry } from '../../audit/audit-log.ts';
import type { Alert } from '../../audit/detect/alert.ts';
import { readLog, replay, rulesFor } from '../../audit/detect/replay.ts';
import { defaultRules, parseRules } from '../../audit/detect/rules-file.ts';
import type { Entry } from '../../audit/entry.ts';
import { verifyLog } from '../../audit/verify.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure, EXIT, usage } from '../failure.ts';
import type { KeepClient } from '../keep-client.ts';
import { itemsOf, parseTime } from '../resources.ts';
import { type Column, printable, renderTime } from '../table.ts';

interface ReplayOptions {
  readonly rule?: string;
  readonly from?: string;
  readonly to?: string;
  readonly rules?: string;
  readonly dir?: string;
  readonly key?: string;
  readonly keyFile?: string;
}

const COLUMNS: readonly Column<Alert>[] = [
  { title: 'TIME', value: ({ time }) => renderTime(time) },
  { title: 'RULE', value: ({ rule }) => rule },
  { title: 'NAME', value: ({ name }) => name },
  { title: 'SEVERITY', value: ({ severity }) => severity },
  { title: 'ABOUT', value: ({ key }) => Object.values(key).join(' '), shrink: true },
  { title: 'RESPONSE', value: ({ response }) => response },
  { title: 'EVIDENCE', value: ({ evidence }) => evidence.join(','), shrink: true },
];

/** `audit replay`: what the rules of detection find in history. */
export function addReplayCommand(audit: Command, { io, output, withKeep }: CommandContext): void {
  audit
    .command('replay')
    .description('run the rules of detection over history, and list what they find; nothing is changed')
    .option('--rule <id>', 'this rule alone: A1, D2, …; without it, all that are enabled')
    .option('--from <time>', 'alerts not before: an ISO 8601 time, or a duration ago')
    .option('--to <time>', 'alerts before: an ISO 8601 time, or a duration ago')
    .option('--rules <file>', 'settings of the rules to try (YAML); without it, the defaults')
    .option('--dir <dir>', 'a copy of log/, verified and read here, offline')
    .option('--key <vkey>', 'for --dir: the verifier key')
    .option('--key-file <file>', 'for --dir: a file that holds the verifier key')
    .action(async (options: ReplayOptions) => {
      const all =
        options.rules === undefined ? defaultRules() : parseRules(await readFile(options.rules, 'utf8'));
      const rules = options.rule === undefined ? all : rulesFor(all, options.rule);
      if (rules.length === 0) {
        throw usage(
          `there is no rule ${options.rule ?? ''}`,
          `the rules are ${all.map(({ rule }) => rule.id).join(', ')}`,
        );
      }
      const at = (text: string | undefined, otherwise: number): number =>
        text === undefined ? otherwise : Date.parse(parseTime(text, io.clock.now(), 'ago'));
      const span = {
        rules,
        from: at(options.from, Number.NEGATIVE_INFINITY),
        to: at(options.to, Number.POSITIVE_INFINITY),
      };
      const report =
        options.dir === undefined
          ? await withKeep(async (keep) => replay({ ...span, entries: await fetchEntries(keep, span) }))
          : await replay({ ...span, entries: await openCopy(options.dir, options) });
      const alerts = report.alerts.filter(({ rule }) => options.rule === undefined || rule === options.rule);
      const answer = { entries: report.entries, alerts };
      output.list(answer, alerts, COLUMNS, `no alert in ${report.entries} entries`);
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit replay --rule A1 --from 7d',
        'modelkeep audit replay --rules stricter.yaml --dir ./log-copy --key-file keep.vkey --json',
      ),
    );
}

async function openCopy(
  directory: string,
  { key, keyFile }: Pick<ReplayOptions, 'key' | 'keyFile'>,
): Promise<Iterable<IndexedEntry>> {
  if ((key === undefined) === (keyFile === undefined))
    throw usage('give the verifier key with --key or --key-file', 'the keep tells it: modelkeep audit vkey');
  const verifierKey = key ?? (await readFile(keyFile ?? '', 'utf8')).trim();
  const { ok, problems } = await verifyLog(directory, verifierKey);
  if (!ok) {
    throw new CliFailure(`the log does not verify: ${printable(problems[0]?.message ?? '')}`, {
      exitCode: EXIT.verification,
    });
  }
  return readLog(directory);
}

const PAGE = 1000;
/** The longest that any rule looks back. */
const LOOK_BACK_MS = 28 * 86_400_000;
const NO_LEAF = new Uint8Array();

/** Entries oldest first. The API gives them newest first, so all are held. */
async function fetchEntries(
  keep: KeepClient,
  { from, to }: { readonly from: number; readonly to: number },
): Promise<readonly IndexedEntry[]> {
  const iso = (ms: number): string | undefined =>
    Number.isFinite(ms) ? new Date(Math.max(0, ms)).toISOString() : undefined;
  const found: IndexedEntry[] = [];
  for (let before: string | undefined; ; ) {
    const page = await keep.request<{ before?: number }>({
      method: 'GET',
      path: '/api/v1/audit/entries',
      query: { from: iso(from - LOOK_BACK_MS), to: iso(to), before, limit: String(PAGE) },
    });
    for (const { index, entry } of itemsOf<{ index: number; entry: Entry }>(page, 'entries'))
      found.push({ index, leaf: NO_LEAF, entry });
    if (page.before === undefined) return found.reverse();
    before = String(page.before);
  }
}
