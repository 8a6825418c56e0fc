import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { IndexedEntry } from '../src/audit/audit-log.ts';
import { createDetector, type Detector } from '../src/audit/detect/detector.ts';
import { defaultRules } from '../src/audit/detect/rules-file.ts';
import { type BenchTable, formatTable } from './table.ts';

const EVENTS = 1_000_000;
/** As many as the server reads at once. */
const CHUNK = 256;
const KEYS = 264_000;
const START = Date.UTC(2026, 0, 1);
const LEAF = new Uint8Array();

/** What one entry costs all rules together, and what they remember. */
export async function run(): Promise<BenchTable> {
  const rows: string[][] = [];
  for (const [name, make] of Object.entries(MIXES)) {
    const detectors = [createDetector({ rules: defaultRules() })];
    const { alerts, spent, written, keys } = observeAll(detectors, make);
    const held = bytesInUse();
    detectors.length = 0;
    const bytes = held - bytesInUse();
    rows.push([
      name,
      (spent / EVENTS).toFixed(2),
      `${(spent / written).toFixed(1)}×`,
      keys.toLocaleString('en'),
      `${Math.round(bytes / 1e6)} MB`,
      alerts.toLocaleString('en'),
    ]);
  }
  const note =
    `${EVENTS.toLocaleString('en')} entries of one day through all rules at once, in one thread, CPU time of that thread; parsing of the entries is ` +
    'not counted. "JSON": how often JSON.stringify writes the entry meanwhile. Keys are all that any rule remembers: principals, addresses, pairs, models.';
  return {
    name: 'Detection',
    note,
    columns: ['entries', 'µs/entry', 'JSON', 'keys', 'memory', 'alerts'],
    rows,
  };
}

/** In a frame of its own, so that nothing but the list refers to the detector afterwards. CPU time in microseconds. */
function observeAll(
  [detector]: readonly Detector[],
  make: (index: number) => IndexedEntry,
): { readonly alerts: number; readonly spent: number; readonly written: number; readonly keys: number } {
  let alerts = 0;
  let spent = 0;
  let written = 0;
  for (let first = 0; first < EVENTS; first += CHUNK) {
    const length = Math.min(CHUNK, EVENTS - first);
    const entries = Array.from({ length }, (_, index) => read(make(first + index)));
    const begin = cpuUs();
    for (const entry of entries) alerts += detector?.observe(entry).length ?? 0;
    const middle = cpuUs();
    spent += middle - begin;
    for (const { entry } of entries) if (JSON.stringify(entry) === '') throw new Error('nothing was written');
    written += cpuUs() - middle;
  }
  return { alerts, spent, written, keys: detector?.counts().keys ?? 0 };
}

/** After the collector has run, which Node hides from programs that do not ask for it. */
function bytesInUse(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/** Entries come out of the log as texts: nothing in one is the same object as in another. */
function read({ entry, ...indexed }: IndexedEntry): IndexedEntry {
  return { ...indexed, entry: JSON.parse(JSON.stringify(entry)) as IndexedEntry['entry'] };
}

/** CPU of this thread alone: a neighbour on the machine, or the collector's own threads, do not count. */
function cpuUs(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/** A day: a million entries, 86 ms apart. */
const at = (index: number): string => new Date(START + Math.floor(index * 86.4)).toISOString();
const hash = (index: number): number => Math.imul(index ^ (index >>> 15), 0x2c1b3c6d) >>> 0;
const tagOf = (value: number): string => value.toString(16).padStart(16, '0');

function prediction(index: number, principals: number): IndexedEntry {
  const who = hash(index) % principals;
  return {
    index,
    leaf: LEAF,
    entry: {
      v: 1,
      id: '',
      time: at(index),
      phase: 'single',
      action: 'model.invoke',
      principal: { kind: 'service_account', id: `sa_${who}` },
      credential: { kind: 'api_key', id: `key_${who}` },
      source: { address: `10.${who % 200}.${(who >> 8) % 250}.${who % 250}`, port: 1 },
      http: { method: 'POST', route: '/predict', status: 200 },
      resource: `/projects/p/models/m${who % 20}`,
      decision: 'allow',
      reason: 'allowed',
      detail: { inputTag: tagOf(hash(index * 7)) },
    },
  };
}

function refusal(index: number, keys: number): IndexedEntry {
  const who = hash(index) % keys;
  return {
    index,
    leaf: LEAF,
    entry: {
      v: 1,
      id: '',
      time: at(index),
      phase: 'single',
      action: 'model.invoke',
      principal: { kind: 'anonymous', id: `usr_${who}` },
      source: { address: `203.${who % 223}.${(who >> 8) % 250}.${(who >> 3) % 250}`, port: 1 },
      http: { method: 'POST', route: '/predict', status: 401 },
      decision: 'deny',
      reason: 'identity.wrong_password',
      detail: { secretTag: tagOf(hash(index * 3)) },
    },
  };
}

const MIXES: Readonly<Record<string, (index: number) => IndexedEntry>> = {
  'predictions of 1,000 clients': (index) => prediction(index, 1000),
  'predictions, one in twenty refused': (index) =>
    index % 20 === 0 ? refusal(index, 5000) : prediction(index, 5000),
  [`refusals only, ${KEYS.toLocaleString('en')} principals`]: (index) => refusal(index, KEYS),
};

if (import.meta.main) console.log(formatTable(await run()));
