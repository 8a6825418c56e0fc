import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../src/audit/entry.ts';
import { HOUR_MS, type StatsQuery } from '../src/audit/index/protocol.ts';
import type { IndexQuery } from '../src/audit/index/query.ts';
import { type IndexStore, openIndexStore } from '../src/audit/index/store.ts';
import { queryTerms } from '../src/audit/index/terms.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { BenchTable } from './table.ts';

const MILLION = 1_000_000;
/** The larger index takes some minutes to build; `SEARCH_ENTRIES=1000000` makes the small one alone. */
const SIZES = (process.env['SEARCH_ENTRIES'] ?? `${MILLION},${10 * MILLION}`).split(',').map(Number);
const BATCH = 4096;
const ROUNDS = 60;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 1);
/** The entries spread over so many days. */
const DAYS = 30;

/** What a search costs in an index of a million entries and more: without reading the entries it finds. */
export async function run(): Promise<readonly BenchTable[]> {
  const tables: BenchTable[] = [];
  for (const size of SIZES) tables.push(await measureSize(size));
  return tables;
}

async function measureSize(entries: number): Promise<BenchTable> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'));
  const file = join(home, 'audit-index.db');
  const open = (): IndexStore => openIndexStore({ file, origin: 'bench.test/audit', clock: systemClock });
  const store = open();
  const started = performance.now();
  build(store, entries);
  const buildMs = performance.now() - started;
  store.close();
  const reopened = performance.now();
  const index = open();
  const openMs = performance.now() - reopened;
  const rows = Object.entries(QUESTIONS).map(([name, ask]) =>
    measure(name, (round) => ask({ index, entries }, round)),
  );
  index.close();
  const { size } = await stat(file);
  await rm(home, { recursive: true });
  const perMillion = (size / entries).toFixed(0);
  return {
    name: `Search among ${entries / MILLION} million entries`,
    note: [
      `${perMillion} MB of index per million entries; built at ${thousands(entries / buildMs)} k entries/s`,
      `with terms and rollups, opened and checked in ${(openMs / 1000).toFixed(1)} s.`,
      `${ROUNDS} rounds of each question, each with other values, the first ones cold; entries of 5,000 principals,`,
      '200 models and 20,000 addresses, few of them busy and most of them rare, 2 % denied, over 30 days.',
      'Reading the entries found from their bundles comes on top.',
    ].join(' '),
    columns: ['question', 'answers', 'p50 ms', 'p99 ms'],
    rows,
  };
}

function build(store: IndexStore, size: number): void {
  for (let from = 0; from < size; from += BATCH) {
    const length = Math.min(BATCH, size - from);
    const entries = Array.from({ length }, (_, at) => entryOf(from + at, size));
    store.apply({ from, entries, leaf: 'bench' });
  }
}

/** The same entry for the same index and size in every run. */
function entryOf(index: number, size: number): Entry {
  const principal = skewed(index, 1, 5000);
  const model = skewed(index, 2, 200);
  const isDenied = random(index, 3) < 0.02;
  const isAdmin = random(index, 4) < 0.001;
  const address = skewed(index, 5, 20_000);
  return {
    v: 1,
    id: `01990000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    time: new Date(timeOf(index, size)).toISOString(),
    phase: 'single',
    request: requestOf(index),
    action: isAdmin ? 'user.update' : 'model.invoke',
    principal: { kind: 'service_account', id: idOf(principal), name: `service-${principal}` },
    credential: { kind: 'api_key', id: `key_01jqv7t2m5${String(principal).padStart(16, '0')}` },
    source: { address: addressOf(address), port: 40_000 },
    http: {
      method: 'POST',
      route: '/projects/{project}/models/{model}/predict',
      status: isDenied ? 403 : 200,
    },
    resource: isAdmin ? '/users/usr_1' : modelOf(model),
    permission: isAdmin ? 'user.update' : 'model.invoke',
    decision: isDenied ? 'deny' : 'allow',
    reason: isDenied ? 'no_matching_binding' : 'allowed',
    model: { version: `ver_01jqv7t2m6${String(model).padStart(16, '0')}`, digest: '3b'.repeat(32) },
    input: 'a7'.repeat(32),
    output: '5c'.repeat(32),
    latencyUs: 400,
  };
}

const timeOf = (index: number, size: number): number => START + Math.floor((index / size) * DAYS * DAY_MS);
const requestOf = (index: number): string => `req_01jq${String(index).padStart(22, '0')}`;
const idOf = (principal: number): string => `sa_01jqv7t2m4${String(principal).padStart(16, '0')}`;
const modelOf = (model: number): string => `/projects/project-${model % 20}/models/model-${model}`;
const addressOf = (address: number): string => `10.${address >> 16}.${(address >> 8) & 255}.${address & 255}`;

/** 0 to 1, by the index alone. */
function random(index: number, salt: number): number {
  let x = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(salt, 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return ((x ^ (x >>> 16)) >>> 0) / 0x1_0000_0000;
}

/** Small numbers often, large ones rarely. */
function skewed(index: number, salt: number, below: number): number {
  return Math.floor(random(index, salt) ** 3 * below);
}

interface Built {
  readonly index: IndexStore;
  readonly entries: number;
}

const QUESTIONS: Readonly<Record<string, (built: Built, round: number) => number>> = {
  'newest 50 of a principal': (built, round) => find(built, { principal: idOf(anyOf(round, 5000)) }, 50),
  'a principal on one day, 200': (built, round) =>
    find(built, { principal: idOf(anyOf(round, 500)), ...dayOf(round) }, 200),
  'newest 100 denials': (built) => find(built, { decision: 'deny' }, 100),
  'denials of a principal, 50': (built, round) =>
    find(built, { principal: idOf(anyOf(round, 500)), decision: 'deny' }, 50),
  'newest 50 below a project': (built, round) =>
    find(built, { resource: `/projects/project-${round % 20}` }, 50),
  'newest 50 of a source': (built, round) => find(built, { source: addressOf(anyOf(round, 20_000)) }, 50),
  'principal, model and a day': (built, round) =>
    find(
      built,
      { principal: idOf(anyOf(round, 100)), resource: modelOf(anyOf(round + 7, 50)), ...dayOf(round) },
      50,
    ),
  'action user.*': (built) => find(built, { action: 'user.*' }, 50),
  'one request': (built, round) => find(built, { request: requestOf(anyOf(round, built.entries)) }, 50),
  'free text, two words': (built, round) => find(built, { q: `service-${anyOf(round, 5000)} matching` }, 50),
  'nothing: two common terms that never meet': (built) =>
    find(built, { decision: 'deny', reason: 'allowed' }, 50),
  'nothing: a word that no entry has': (built, round) => find(built, { q: `denied ${round} nowhere` }, 50),
  'day by hour and decision': (built, round) => count(built, { by: 'hour', ...dayOf(round) }),
  '30 days by day, top 10 deniers': (built) => count(built, { by: 'day', decision: 'deny' }),
  'all but some hours of 30 days by hour, top 10 of all': (built, round) =>
    count(built, { from: START + (1 + (round % 22)) * HOUR_MS, to: START + DAYS * DAY_MS - HOUR_MS }),
};

function anyOf(round: number, below: number): number {
  return Math.floor(random(round, 9) * below);
}

function dayOf(round: number): { readonly from: number; readonly to: number } {
  const from = START + (round % DAYS) * DAY_MS;
  return { from, to: from + DAY_MS };
}

/** As a client does: goes on until the page is full or the log has ended. */
function find({ index, entries }: Built, query: IndexQuery, limit: number): number {
  const { from, to } = query;
  const terms = queryTerms(query);
  let answers = 0;
  for (let end = entries; end > 0 && answers < limit; ) {
    const found = index.find({ terms, from, to, floor: 0, end, limit: limit - answers });
    answers += found.indices.length;
    end = found.floor;
  }
  return answers;
}

function count({ index }: Built, query: Partial<StatsQuery>): number {
  return index.stats({ by: 'hour', split: 'decision', top: 10, ...query }).series.length;
}

function measure(name: string, ask: (round: number) => number): string[] {
  const times: number[] = [];
  let answers = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const started = performance.now();
    answers += ask(round);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.ceil(share * ROUNDS) - 1] ?? 0).toFixed(2);
  return [name, (answers / ROUNDS).toFixed(0), at(0.5), at(0.99)];
}

function thousands(perMs: number): string {
  return perMs.toFixed(0);
}
