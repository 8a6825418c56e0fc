import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { createDirectorySource } from '../../audit/deliver/directory-source.ts';
import { exportPage, type ExportPage } from '../../audit/deliver/export.ts';
import { createFormat, type FormatName, FORMATS } from '../../audit/deliver/format/format.ts';
import { parseVerifierKey } from '../../audit/note.ts';
import { verifyLog } from '../../audit/verify.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { CliFailure, EXIT, usage } from '../failure.ts';
import type { KeepClient } from '../keep-client.ts';
import { writeNewFile } from '../new-file.ts';
import { itemsOf, parseTime } from '../resources.ts';

interface ExportOptions {
  readonly format: FormatName;
  readonly from?: string;
  readonly to?: string;
  readonly output?: string;
  readonly dir?: string;
  readonly key?: string;
  readonly keyFile?: string;
}

const PAGE_LINES = 1000;

/** `audit export`: `version` is Modelkeep's own. */
export function addAuditExport(
  audit: Command,
  { io, output, withKeep }: CommandContext,
  version: string,
): void {
  audit
    .command('export')
    .description('write entries as lines for another system, oldest first')
    .addOption(new Option('--format <format>', 'of each line').choices(FORMATS).default('json'))
    .option('--from <time>', 'not before: an ISO 8601 time, or a duration ago')
    .option('--to <time>', 'before: an ISO 8601 time, or a duration ago')
    .option('--output <file>', 'a new file; without it, to stdout')
    .option('--dir <dir>', 'a copy of log/, verified and read here, offline; without it, the keep is asked')
    .option('--key <vkey>', 'with --dir: the verifier key, from `audit vkey`')
    .option('--key-file <file>', 'with --dir: a file that holds the verifier key')
    .action(async (options: ExportOptions) => {
      const { dir, format, key, keyFile } = options;
      const at = (time: string | undefined): string | undefined =>
        time === undefined ? undefined : parseTime(time, io.clock.now(), 'ago');
      const range = { from: at(options.from), to: at(options.to) };
      if (dir === undefined) {
        if (key !== undefined || keyFile !== undefined) throw usage('--key needs --dir, a copy of the log');
        await withKeep((keep) => write(online(keep, format, range)));
      } else {
        await write(await offline(dir, options, range, version));
      }

      async function write(lines: AsyncIterable<string>): Promise<void> {
        let count = 0;
        const bytes = async function* (): AsyncGenerator<Uint8Array> {
          for await (const line of lines) {
            count++;
            yield Buffer.from(`${line}\n`);
          }
        };
        if (options.output === undefined) return output.bytes(bytes());
        await writeNewFile(options.output, bytes());
        output.done(
          { file: options.output, entries: count },
          `${count} ${count === 1 ? 'entry is' : 'entries are'} in ${options.output}`,
        );
      }
    })
    .addHelpText(
      'after',
      example(
        'modelkeep audit export --format ocsf --from 24h --output day.jsonl',
        'modelkeep audit export --format cef --dir ./log-copy --key-file keep.vkey',
      ),
    );
}

interface TimeRange {
  readonly from: string | undefined;
  readonly to: string | undefined;
}

async function* online(keep: KeepClient, format: FormatName, range: TimeRange): AsyncGenerator<string> {
  for (let start: number | undefined = 0; start !== undefined; ) {
    const page: ExportPage = await keep.request<ExportPage>({
      method: 'GET',
      path: '/api/v1/audit/export',
      query: { ...range, format, start: String(start), limit: String(PAGE_LINES) },
    });
    yield* itemsOf<string>(page, 'lines');
    start = page.next;
  }
}

/** Nothing is written of a copy that does not verify. */
async function offline(
  directory: string,
  { format, key, keyFile }: ExportOptions,
  { from, to }: TimeRange,
  version: string,
): Promise<AsyncIterable<string>> {
  if ((key === undefined) === (keyFile === undefined))
    throw usage('give the verifier key with --key or --key-file', 'the keep tells it: modelkeep audit vkey');
  const vkey = key ?? (await readFile(keyFile ?? '', 'utf8')).trim();
  const origin = parseVerifierKey(vkey.split('\n')[0] ?? '')?.name;
  if (origin === undefined) throw usage('this is not a verifier key');
  const { ok, size, problems } = await verifyLog(directory, vkey.split('\n'));
  if (!ok) {
    const first = problems[0]?.message ?? 'it does not verify';
    throw new CliFailure(`the copy of the log was changed: ${first}`, { exitCode: EXIT.verification });
  }
  const source = createDirectorySource(directory, size);
  const parts = { origin, format: createFormat(format, version) };
  const range = {
    from: from === undefined ? undefined : Date.parse(from),
    to: to === undefined ? undefined : Date.parse(to),
    limit: PAGE_LINES,
  };
  return (async function* () {
    for (let start: number | undefined = 0; start !== undefined; ) {
      const page: ExportPage = await exportPage(source, { ...parts, range: { ...range, start } });
      yield* page.lines;
      start = page.next;
    }
  })();
}
