import { fork, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fsckLog } from '../src/audit/fsck.ts';
import { openAuditLog } from '../src/audit/log.ts';
import { systemClock } from '../src/kernel/clock.ts';
import { silentLog } from '../src/kernel/log.ts';
import { eventOf } from './audit-event.ts';
import { type LoadResult, measureLoad, median } from './load.ts';
import type { BenchTable } from './table.ts';

const MODES = {
  none: 'no logging',
  'pino async': 'pino, async file, not durable',
  'pino sync': 'pino, sync file, not durable',
  durable: 'Modelkeep, durable and in the tree',
  'each alone': 'a write and fdatasync for each event',
};
type Mode = keyof typeof MODES;
const CONNECTIONS = [1, 32, 128];
const ROUNDS = 7;
const ROUND_MS = 700;
const ENTRIES = 200_000;
const TOGETHER = 500;

/** What an audit entry costs a server, beside logging that promises less; then what a verifier and the disk pay. */
export async function run(): Promise<readonly BenchTable[]> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'));
  const tables = [await measureServers(home), await measureLog(join(home, 'log'))];
  await rm(home, { recursive: true });
  return tables;
}

async function measureServers(home: string): Promise<BenchTable> {
  const modes = Object.keys(MODES) as Mode[];
  const servers: { readonly mode: Mode; readonly child: ChildProcess; readonly port: number }[] = [];
  for (const mode of modes) {
    const child = fork(join(import.meta.dirname, 'audit-server.ts'), [join(home, mode), mode]);
    const [{ port }] = (await once(child, 'message')) as [{ port: number }];
    servers.push({ mode, child, port });
  }
  const rows: string[][] = [];
  for (const connections of CONNECTIONS) {
    const results = new Map<Mode, LoadResult[]>(modes.map((mode) => [mode, []]));
    for (let round = -1; round < ROUNDS; round++) {
      for (const { mode, port } of servers) {
        const load = { port, path: '/', headers: {}, body: '{"value":3}', connections, durationMs: ROUND_MS };
        const result = await measureLoad(load);
        if (round >= 0) results.get(mode)?.push(result);
      }
    }
    const of = (mode: Mode, pick: (result: LoadResult) => number): number =>
      median(results.get(mode)?.map(pick) ?? []);
    const rate = (mode: Mode): number => of(mode, (result) => result.perSecond);
    for (const mode of modes) {
      const p50 = of(mode, (result) => result.p50);
      rows.push([
        String(connections),
        MODES[mode],
        Math.round(rate(mode)).toString(),
        (rate(mode) / rate('none')).toFixed(2),
        (rate(mode) / rate('pino async')).toFixed(2),
        p50.toFixed(2),
        (p50 - of('none', (result) => result.p50)).toFixed(2),
        of(mode, (result) => result.p99).toFixed(2),
      ]);
    }
  }
  for (const { child } of servers) {
    child.disconnect();
    await once(child, 'exit');
  }
  return {
    name: 'An entry per request',
    note: `A bare node:http server answers a small JSON once the event is logged; medians of ${ROUNDS} rounds, interleaved. Client, server and log share the cores. At one connection the figure that counts is the latency added: a flush of the disk, which takes ten times as long when neighbours flush theirs; the last row of each group, a bare write and fdatasync, says how the disk was.`,
    columns: ['connections', 'logging', 'requests/s', '÷ none', '÷ pino async', 'p50 ms', 'added', 'p99 ms'],
    rows,
  };
}

async function measureLog(directory: string): Promise<BenchTable> {
  const log = await openAuditLog({
    directory,
    signingKey: generateKeyPairSync('ed25519').privateKey,
    origin: 'bench.test/audit',
    clock: systemClock,
    log: silentLog,
  });
  let next = 0;
  const started = performance.now();
  const append = async (): Promise<void> => {
    while (next < ENTRIES) await log.append(eventOf(next++));
  };
  await Promise.all(Array.from({ length: TOGETHER }, append));
  const appended = (ENTRIES / (performance.now() - started)) * 1000;
  await log.close();
  const verified = new Map<number, number[]>([1, availableParallelism()].map((workers) => [workers, []]));
  for (let round = 0; round < 5; round++) {
    for (const [workers, rates] of verified) {
      const begin = performance.now();
      const { ok, size } = await fsckLog({ directory, keys: log.vkey, workers });
      if (!ok || size !== ENTRIES) throw new Error(`the log of the bench does not verify: ${size} entries`);
      rates.push((ENTRIES / (performance.now() - begin)) * 1000);
    }
  }
  const perMillion = (await bytesBelow(join(directory, 'tile'))) * (1e6 / ENTRIES);
  const thousands = (value: number): string => Math.round(value).toLocaleString('en');
  return {
    name: 'A log of 200,000 entries',
    note: 'Offline verification (`audit fsck`) reads and hashes everything; medians of 5, interleaved, threads started anew each time. The size is that of the sealed log, entries and tree, without compression.',
    columns: ['what', 'figure'],
    rows: [
      [`entries/s appended, ${TOGETHER} at a time`, thousands(appended)],
      ...[...verified].map(([workers, rates]) => [
        `entries/s verified offline, ${workers === 1 ? 'one thread' : `${workers} threads`}`,
        thousands(median(rates)),
      ]),
      ['bytes for a million entries', thousands(perMillion)],
    ],
  };
}

async function bytesBelow(directory: string): Promise<number> {
  let bytes = 0;
  for (const each of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (each.isFile()) bytes += (await stat(join(each.parentPath, each.name))).size;
  }
  return bytes;
}
