import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../src/audit/entry.ts';
import type { FindRequest, StatsQuery } from '../src/audit/index/protocol.ts';
import type { IndexQuery } from '../src/audit/index/query.ts';
import { type IndexStore, openIndexStore } from '../src/audit/index/store.ts';
import { queryTerms } from '../src/audit/index/terms.ts';
import { systemClock } from '../src/kernel/clock.ts';
import type { BenchTable } from './table.ts';

const MILLION = 1_000_000;
/** 10 M entries take several minutes to index: SEARCH_ENTRIES=10000000. */
const ENTRIES = Number(process.env['SEARCH_ENTRIES'] ?? MILLION);
const BATCH = 4096;
const ROUNDS = 60;
const DAY_MS = 86_400_000;
const START = Date.UTC(2026, 0, 1);
/** The entries spread over so many days. */
const DAYS = 30;

/** What a search costs in an index of a million entries and more: without reading the entries it finds. */
export async function run(): Promise<BenchTable> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'));
  const file = join(home, 'audit-index.db');
  const open = (): IndexStore => openIndexStore({ file, origin: 'bench.test/audit', clock: systemClock });
  const store = open();
  const started = performance.now();
  build(store);
  const buildMs = performance.now() - started;
  store.close();
  const reopened = performance.now();
  const index = open();
  const openMs = performance.now() - reopened;
  const rows = Object.entries(QUESTIONS).map(([name, ask]) => measure(name, (round) => ask(index, round)));
  index.close();
  const { size } = await stat(file);
  await rm(home, { recursive: true });
  const perMillion = (size / ENTRIES).toFixed(0);
  return {
    name: `search among ${ENTRIES / MILLION} million entries`,
    note: [
      `${perMillion} MB of index per million entries; built at ${thousands(ENTRIES / buildMs)} k entries/s`,
      `with terms and rollups, opened and checked in ${(openMs / 1000).toFixed(1)} s.`,
      `${ROUNDS} rounds of each question, each with other values, the first ones cold; entries of 5,000 principals,`,
      '200 models and 20,000 addresses, few of them busy and most of them rare, 2 % denied, over 30 days.',
      'Reading the entries found from their bundles comes on top.',
    ].join(' '),
    columns: ['question', 'answers', 'p50 ms', 'p99 ms'],
    rows,
  };
}

function build(store: IndexStore): void {
  for (let from = 0; from < ENTRIES; from += BATCH) {
    const entries = Array.from({ length: Math.min(BATCH, ENTRIES - from) }, (_, at) => entryOf(from + at));
    store.apply({ from, entries, leaf: 'bench' });
  }
}

/** The same entry for the same index in every run. */
function entryOf(index: number): Entry {
  const principal = skewed(index, 1, 5000);
  const model = skewed(index, 2, 200);
  const isDenied = random(index, 3) < 0.02;
  const isAdmin = random(index, 4) < 0.001;
  const address = skewed(index, 5, 20_000);
  return {
    v: 1,
    id: `01990000-0000-7000-8000-${String(index).padStart(12, '0')}`,
    time: new Date(timeOf(index)).toISOString(),
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

const timeOf = (index: number): number => START + Math.floor((index / ENTRIES) * DAYS * DAY_MS);
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

const QUESTIONS: Readonly<Record<string, (index: IndexStore, round: number) => number>> = {
  'newest 50 of a principal': (index, round) => find(index, { principal: idOf(anyOf(round, 5000)) }, 50),
  'a principal on one day, 200': (index, round) =>
    find(index, { principal: idOf(anyOf(round, 500)), ...dayOf(round) }, 200),
  'newest 100 denials': (index) => find(index, { decision: 'deny' }, 100),
  'denials of a principal, 50': (index, round) =>
    find(index, { principal: idOf(anyOf(round, 500)), decision: 'deny' }, 50),
  'newest 50 below a project': (index, round) =>
    find(index, { resource: `/projects/project-${round % 20}` }, 50),
  'newest 50 of a source': (index, round) => find(index, { source: addressOf(anyOf(round, 20_000)) }, 50),
  'principal, model and a day': (index, round) =>
    find(
      index,
      { principal: idOf(anyOf(round, 100)), resource: modelOf(anyOf(round + 7, 50)), ...dayOf(round) },
      50,
    ),
  'action user.*': (index) => find(index, { action: 'user.*' }, 50),
  'one request': (index, round) => find(index, { request: requestOf(anyOf(round, ENTRIES)) }, 50),
  'free text, two words': (index, round) => find(index, { q: `service-${anyOf(round, 5000)} matching` }, 50),
  'nothing: two common terms that never meet': (index) =>
    find(index, { decision: 'deny', reason: 'allowed' }, 50),
  'day by hour and decision': (index, round) => count(index, { by: 'hour', ...dayOf(round) }),
  '30 days by day, top 10 deniers': (index) => count(index, { by: 'day', decision: 'deny' }),
};

function anyOf(round: number, below: number): number {
  return Math.floor(random(round, 9) * below);
}

function dayOf(round: number): { readonly from: number; readonly to: number } {
  const from = START + (round % DAYS) * DAY_MS;
  return { from, to: from + DAY_MS };
}

/** As a search does: from where a round ended, on. */
function find(index: IndexStore, query: IndexQuery, limit: number): number {
  const { from, to } = query;
  const request: FindRequest = { terms: queryTerms(query), from, to, floor: 0, end: ENTRIES, limit };
  return index.find(request).indices.length;
}

function count(index: IndexStore, query: Partial<StatsQuery>): number {
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
