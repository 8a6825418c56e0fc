import type { Command } from 'commander';
import { requireYes } from '../confirm.ts';
import type { CommandContext } from '../context.ts';
import { example } from '../example.ts';
import { EXIT, usage } from '../failure.ts';
import type { Finding } from '../keep-checks.ts';
import { ApiFailure, apiPath, type KeepClient } from '../keep-client.ts';
import { itemsOf, parseCount } from '../resources.ts';
import { type Column, printable, renderTable, renderTime } from '../table.ts';

/** As the API tells of a key of the ring. */
export interface RingKey {
  readonly name: string;
  readonly purpose: string;
  readonly createdAt: string;
  readonly rotatedAt: string;
  readonly rotateDays: number | null;
  readonly rotatesAt: string | null;
  readonly reencryptingSince: string | null;
  readonly versions: readonly RingKeyVersion[];
}

export interface RingKeyVersion {
  readonly version: number;
  readonly state: 'active' | 'decrypt-only' | 'compromised' | 'destroyed';
  readonly stateSince: string;
  readonly createdAt: string;
  readonly uses: number;
  readonly items: readonly { readonly place: string; readonly items: number }[];
}

type ChangedKey = RingKey & { readonly meaning: string };

interface JobAnswer {
  readonly key: string;
  readonly version: number;
  readonly finished: boolean;
  readonly moved: number;
  readonly places: readonly {
    readonly place: string;
    readonly rewrapping: string;
    readonly moved: number;
    readonly left: number;
    readonly failures: readonly { readonly item: string; readonly reason: string }[];
  }[];
  readonly meaning: string;
}

export function addKeyringCommands(program: Command, context: CommandContext): void {
  const keyring = program
    .command('keyring')
    .description('the keys that everything in the keep is sealed under: versions, rotation, re-encryption');
  addReading(keyring, context);
  addChanges(keyring, context);
  addVersionChanges(keyring, context);
  addJobs(keyring, context);
}

function addReading(keyring: Command, { io, output, withKeep }: CommandContext): void {
  keyring
    .command('list')
    .description('list the keys, their ages, and what is still under old versions')
    .action(async () => {
      const answer = await withKeep((keep) => keep.request({ method: 'GET', path: '/api/v1/keys' }));
      output.list(answer, itemsOf<RingKey>(answer, 'keys'), keyColumns(io.clock.now()), 'there are no keys');
    })
    .addHelpText('after', example('modelkeep keyring list'));
  keyring
    .command('show <key>')
    .description('show the versions of a key, and what is sealed under each')
    .action(async (name: string) => {
      const path = apiPath`/api/v1/keys/${name}`;
      const key = await withKeep((keep) => keep.request<RingKey>({ method: 'GET', path }));
      output.list(key, key.versions, versionColumns(key), `${name} has no versions`);
    })
    .addHelpText('after', example('modelkeep keyring show artifacts'));
  keyring
    .command('export-recipient <key>')
    .description('print the age recipient (age1…) of a wrap key; it encrypts and cannot decrypt')
    .action(async (name: string) => {
      const path = apiPath`/api/v1/keys/${name}/recipient`;
      const answer = await withKeep((keep) => keep.request<{ recipient: string }>({ method: 'GET', path }));
      output.text(answer, `${printable(answer.recipient)}\n`);
    })
    .addHelpText('after', example('modelkeep keyring export-recipient artifacts'));
}

function addChanges(keyring: Command, { output, withKeep }: CommandContext): void {
  keyring
    .command('create <key>')
    .description('make a key, for encryption as a service or another use of your own')
    .requiredOption('--purpose <purpose>', 'wrap, seal, mac or sign; a key serves one purpose')
    .option(
      '--rotate-days <days>',
      'make a new version after so many days, or never (default: 90 for wrap and seal)',
    )
    .action(async (name: string, options: { purpose: string; rotateDays?: string }) => {
      const { purpose, rotateDays } = options;
      if (!PURPOSES.includes(purpose))
        throw usage(`--purpose must be ${PURPOSES.join(', ')}, not ${purpose}`);
      const body = {
        name,
        purpose,
        rotateDays: rotateDays === undefined ? undefined : parseDays(rotateDays),
      };
      const answer = await withKeep((keep) => keep.request({ method: 'POST', path: '/api/v1/keys', body }));
      output.done(answer, `created the key ${name}`);
    })
    .addHelpText('after', example('modelkeep keyring create pipeline --purpose seal --rotate-days 30'));
  keyring
    .command('rotate <key>')
    .description('make a new active version for new data; what was sealed before stays as it is')
    .action(async (name: string) => {
      const path = apiPath`/api/v1/keys/${name}/rotate`;
      const key = await withKeep((keep) => keep.request<ChangedKey>({ method: 'POST', path }));
      output.done(key, `version ${activeOf(key)} of ${name} is active`);
      if (output.isJson()) return;
      output.talk(printable(key.meaning));
      const old = oldItems(key);
      if (old > 0)
        output.hint(
          `${itemsCounted(old)} ${old === 1 ? 'is' : 'are'} under old versions: modelkeep keyring rewrap ${name}`,
        );
    })
    .addHelpText('after', example('modelkeep keyring rotate artifacts'));
  keyring
    .command('schedule <key> <days>')
    .description('set after how many days a key is rotated by itself, or never')
    .action(async (name: string, days: string) => {
      const path = apiPath`/api/v1/keys/${name}`;
      const body = { rotateDays: parseDays(days) };
      const key = await withKeep((keep) => keep.request<RingKey>({ method: 'PATCH', path, body }));
      const when = key.rotatesAt === null ? 'never by itself' : `at ${renderTime(key.rotatesAt)}`;
      output.done(key, `${name} is rotated ${when}`);
    })
    .addHelpText('after', example('modelkeep keyring schedule artifacts 30'));
}

function addVersionChanges(keyring: Command, { io, output, withKeep }: CommandContext): void {
  keyring
    .command('mark <key> <version> <state>')
    .description('mark a version compromised, or decrypt-only to take the mark back')
    .action(async (name: string, version: string, state: string) => {
      if (state !== 'compromised' && state !== 'decrypt-only')
        throw usage(`${state} is not a mark`, 'write compromised or decrypt-only');
      const path = apiPath`/api/v1/keys/${name}/versions/${parseCount(version, 'the version')}`;
      const body = { state };
      const key = await withKeep((keep) => keep.request<ChangedKey>({ method: 'PATCH', path, body }));
      output.done(key, `version ${version} of ${name} is ${state}; version ${activeOf(key)} is active`);
      if (output.isJson()) return;
      output.talk(printable(key.meaning));
      const items = itemsUnder(key, Number(version));
      if (items !== '') output.talk(`under it: ${printable(items)}`);
      if (state === 'compromised') output.hint(`modelkeep keyring reencrypt ${name}`);
    })
    .addHelpText('after', example('modelkeep keyring mark artifacts 1 compromised'));
  keyring
    .command('destroy <key> <version>')
    .description(
      'remove the material of a version that nothing in the keep uses any more; there is no way back',
    )
    .option('--confirm <key>', 'do not ask; repeats the name of the key')
    .action(async (name: string, text: string, { confirm }: { confirm?: string }) => {
      const version = parseCount(text, 'the version');
      if (confirm !== undefined && confirm !== name) {
        throw usage(`--confirm ${confirm} does not name the key ${name}`);
      }
      if (confirm === undefined && io.prompt === undefined) {
        throw usage('there is no terminal to ask on', `add --confirm ${name} to destroy version ${version}`);
      }
      await requireYes(io, confirm === name, `destroy version ${version} of the key ${name} for ever?`);
      const path = apiPath`/api/v1/keys/${name}/versions/${version}`;
      const query = { confirm: name };
      const key = await withKeep((keep) => keep.request<ChangedKey>({ method: 'DELETE', path, query }));
      output.done(key, `destroyed version ${version} of ${name}`);
      if (!output.isJson()) output.talk(printable(key.meaning));
    })
    .addHelpText('after', example('modelkeep keyring destroy artifacts 1 --confirm artifacts'));
}

function addJobs(keyring: Command, context: CommandContext): void {
  const jobs = [
    [
      'rewrap',
      'put what is under old versions under the active one; whoever kept an old key can still read it',
    ],
    ['reencrypt', 'encrypt everything under a key anew; an old key opens nothing that is stored then'],
  ] as const;
  for (const [operation, description] of jobs) {
    keyring
      .command(`${operation} <key>`)
      .description(description)
      .action((name: string) => run(context, operation, name))
      .addHelpText('after', example(`modelkeep keyring ${operation} artifacts`));
  }
}

/** The server answers after a while with what it has done; asked again, it goes on. */
async function run(
  { io, output, withKeep, exitWith }: CommandContext,
  operation: 'rewrap' | 'reencrypt',
  name: string,
): Promise<void> {
  const path = apiPath`/api/v1/keys/${name}/jobs/${operation}`;
  const { answer, moved } = await withKeep(async (keep) => {
    let total = 0;
    for (;;) {
      const part = await askPatiently(keep, path, io);
      total += part.moved;
      if (part.finished || io.interrupted.aborted) return { answer: part, moved: total };
      output.talk(`${itemsCounted(total)} moved so far`);
    }
  });
  const rows = answer.places.filter(({ rewrapping, left }) => rewrapping !== 'on-use' || left > 0);
  const failures = rows.flatMap((row) => row.failures);
  output.text({ ...answer, moved }, rows.length === 0 ? '' : renderTable(PLACES, rows, io.columns));
  if (!output.isJson()) {
    output.talk(`moved ${itemsCounted(moved)} to version ${answer.version} of ${name}`);
    for (const { item, reason } of failures) output.talk(`not moved: ${printable(`${item}: ${reason}`)}`);
    output.talk(printable(answer.meaning));
    if (!answer.finished)
      output.hint(`not everything was moved; go on: modelkeep keyring ${operation} ${name}`);
  }
  if (failures.length > 0 || !answer.finished) exitWith(EXIT.failure);
}

const PLACES: readonly Column<JobAnswer['places'][number]>[] = [
  { title: 'PLACE', value: (row) => row.place },
  { title: 'LEFT', value: (row) => row.left, align: 'right' },
  { title: 'FAILED', value: (row) => row.failures.length, align: 'right' },
  { title: 'MOVES', value: (row) => (row.rewrapping === 'on-use' ? 'on use' : 'now') },
];

const RETRY_MS = 1000;

/** One item can take longer than a request may: the server then works on, and is asked again when it is done. */
async function askPatiently(keep: KeepClient, path: string, io: CommandContext['io']): Promise<JobAnswer> {
  for (let late = false; ; ) {
    try {
      return await keep.request<JobAnswer>({ method: 'POST', path });
    } catch (error) {
      const code = error instanceof ApiFailure ? error.problem.code : undefined;
      late ||= code === 'http.deadline';
      if (io.interrupted.aborted || !late || (code !== 'http.deadline' && code !== 'keys.job_running'))
        throw error;
      await io.wait(RETRY_MS);
    }
  }
}

/** Marks, periods and jobs that someone should look at. */
export function checkRingKeys(keys: readonly RingKey[], now: number): Finding {
  const check = 'key ring';
  const named = (state: string): readonly string[] =>
    keys.flatMap((key) =>
      key.versions
        .filter((version) => version.state === state)
        .map(({ version }) => {
          const items = itemsUnder(key, version);
          return `${key.name} version ${version}${items === '' ? '' : ` (${items})`}`;
        }),
    );
  const compromised = named('compromised');
  const overdue = keys.filter(({ rotatesAt }) => rotatesAt !== null && Date.parse(rotatesAt) <= now);
  const unfinished = keys.filter(({ reencryptingSince }) => reencryptingSince !== null);
  const remarks = [
    ...(compromised.length === 0 ? [] : [`compromised: ${compromised.join(', ')}`]),
    ...(overdue.length === 0 ? [] : [`rotation overdue: ${namesOf(overdue)}`]),
    ...(unfinished.length === 0 ? [] : [`reencryption not finished: ${namesOf(unfinished)}`]),
  ];
  if (remarks.length === 0) return { check, state: 'ok', detail: `${keys.length} in use` };
  return {
    check,
    state: 'warning',
    detail: remarks.join('; '),
    hint: 'move what is under a compromised version with keyring reencrypt, then keyring destroy it',
  };
}

const PURPOSES: readonly string[] = ['wrap', 'seal', 'mac', 'sign'];
const DAY_MS = 86_400_000;

function keyColumns(now: number): readonly Column<RingKey>[] {
  return [
    { title: 'KEY', value: (key) => key.name },
    { title: 'PURPOSE', value: (key) => key.purpose },
    { title: 'ACTIVE', value: activeOf, align: 'right' },
    {
      title: 'AGE',
      value: (key) => `${Math.max(0, Math.floor((now - Date.parse(key.rotatedAt)) / DAY_MS))} d`,
      align: 'right',
    },
    { title: 'ROTATES', value: (key) => renderTime(key.rotatesAt) },
    { title: 'UNDER OLD VERSIONS', value: oldItems, align: 'right' },
    { title: 'REMARKS', value: remarksOf },
  ];
}

function versionColumns({ purpose }: RingKey): readonly Column<RingKeyVersion>[] {
  const counted = purpose === 'wrap' || purpose === 'seal';
  return [
    { title: 'VERSION', value: ({ version }) => version, align: 'right' },
    { title: 'STATE', value: ({ state }) => state },
    { title: 'SINCE', value: ({ stateSince }) => renderTime(stateSince) },
    { title: 'CREATED', value: ({ createdAt }) => renderTime(createdAt) },
    { title: 'USES', value: ({ uses }) => (counted ? uses : null), align: 'right' },
    { title: 'HOLDS', value: ({ items }) => describeItems(items) },
  ];
}

function remarksOf({ versions, reencryptingSince }: RingKey): string {
  const compromised = versions.filter(({ state }) => state === 'compromised');
  return [
    ...compromised.map(({ version }) => `version ${version} compromised`),
    ...(reencryptingSince === null ? [] : ['reencryption not finished']),
  ].join(', ');
}

function activeOf({ versions }: RingKey): number | null {
  return versions.findLast(({ state }) => state === 'active')?.version ?? null;
}

function oldItems({ versions }: RingKey): number {
  return versions
    .filter(({ state }) => state !== 'active')
    .flatMap(({ items }) => items)
    .reduce((sum, { items }) => sum + items, 0);
}

function itemsUnder({ versions }: RingKey, version: number): string {
  return describeItems(versions.find((each) => each.version === version)?.items ?? []);
}

function itemsCounted(count: number): string {
  return `${count} ${count === 1 ? 'item' : 'items'}`;
}

function describeItems(items: RingKeyVersion['items']): string {
  return items.map((each) => `${each.items} ${each.place}`).join(', ');
}

function namesOf(keys: readonly RingKey[]): string {
  return keys.map(({ name }) => name).join(', ');
}

function parseDays(text: string): number | null {
  return text === 'never' ? null : parseCount(text, 'the number of days');
}
