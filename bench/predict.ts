import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type LoadResult, measureLoad, median } from './load.ts';
import type { BenchTable } from './table.ts';

const MODES = { open: 'security compiled out', unlogged: 'key and roles, no log', guarded: 'as shipped' };
const CONNECTIONS = [1, 32];
const ROUNDS = 7;
/** The first rounds start the model processes and compile the path. */
const WARM_ROUNDS = 4;
/** Of the throughput without any security. */
const BAR = 0.75;
const BODY = '{"features":[5.1,3.5,1.4,0.2]}';

interface Running {
  readonly mode: keyof typeof MODES;
  readonly child: ChildProcess;
  readonly port: number;
  readonly key: string;
}

/** Guarded predict beside the same path without its guards: the security tax. Rounds are interleaved. */
export async function run(): Promise<BenchTable> {
  const home = await mkdtemp(join(tmpdir(), 'modelkeep-bench-'));
  const servers: Running[] = [];
  for (const mode of Object.keys(MODES) as (keyof typeof MODES)[]) servers.push(await start(home, mode));
  const rows: string[][] = [];
  const verdicts: string[] = [];
  for (const connections of CONNECTIONS) {
    const results = new Map<string, LoadResult[]>(servers.map(({ mode }) => [mode, []]));
    for (let round = -WARM_ROUNDS; round < ROUNDS; round++) {
      for (const { mode, port, key } of servers) {
        const headers = { authorization: `Bearer ${key}` };
        const load = { port, path: '/predict', headers, body: BODY, connections, durationMs: 1000 };
        const result = await measureLoad(load);
        if (round >= 0) results.get(mode)?.push(result);
      }
    }
    const rate = (mode: string): number => median(results.get(mode)?.map((result) => result.perSecond) ?? []);
    for (const { mode } of servers) {
      const of = (pick: (result: LoadResult) => number): string =>
        median(results.get(mode)?.map(pick) ?? []).toFixed(2);
      const share = rate(mode) / rate('open');
      if (mode === 'guarded') verdicts.push(`${share < BAR ? 'missed' : 'met'} at ${connections}`);
      const ratio = share.toFixed(2);
      rows.push([
        String(connections),
        MODES[mode],
        Math.round(rate(mode)).toString(),
        of((result) => result.p50),
        of((result) => result.p99),
        ratio,
      ]);
    }
  }
  for (const { child } of servers) {
    child.disconnect();
    await once(child, 'exit');
  }
  await rm(home, { recursive: true });
  const verdict = verdicts.join(', ');
  return {
    name: 'Guarded prediction',
    note: `POST /predict on the iris model over HTTP; client, server and model process share the cores. As shipped means all of
it: the durable entry, commitments, detections, the search index. The bar is ${BAR} of the first row: ${verdict}.`,
    columns: ['connections', 'server', 'requests/s', 'p50 ms', 'p99 ms', 'ratio'],
    rows,
  };
}

async function start(home: string, mode: keyof typeof MODES): Promise<Running> {
  const child = fork(join(import.meta.dirname, 'predict-server.ts'), [join(home, mode), mode]);
  const [{ port, key }] = (await once(child, 'message')) as [{ port: number; key: string }];
  return { mode, child, port, key };
}
