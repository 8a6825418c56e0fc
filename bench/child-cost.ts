import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';

/** What a command cost, with all processes that it started. */
export interface Cost {
  /** From start to end; or what the command itself printed on its last line as `seconds=…`. */
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMib: number;
}

const TIME = '/usr/bin/time';
const TICKS_PER_SECOND = 100;
const POLL_MS = 5;

/** Runs a command; throws if it fails. Measured by GNU time, or without it by looking into /proc while it runs. */
export async function measureCommand([file = '', ...args]: readonly string[]): Promise<Cost> {
  const withTime = existsSync(TIME);
  const started = performance.now();
  const child = withTime
    ? spawn(TIME, ['-f', 'cost=%U %S %M', file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
    : spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (piece: Buffer) => (output += piece.toString()));
  const closed = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  const watching = withTime ? undefined : watch(child.pid ?? 0, closed);
  const code = await closed;
  const elapsed = (performance.now() - started) / 1000;
  if (code !== 0) throw new Error(`${file} ${args.join(' ')} failed:\n${output}`);
  const seconds = Number(/^seconds=(.+)$/m.exec(output)?.[1] ?? elapsed);
  const [user, system, kib] = /^cost=(\S+) (\S+) (\S+)$/m.exec(output)?.slice(1).map(Number) ?? [];
  if (user !== undefined && system !== undefined && kib !== undefined)
    return { seconds, cpuSeconds: user + system, peakMib: kib / 1024 };
  return {
    seconds,
    ...(await (watching ?? Promise.resolve({ cpuSeconds: Number.NaN, peakMib: Number.NaN }))),
  };
}

/** The last that could be seen of a process. */
async function watch(pid: number, closed: Promise<unknown>): Promise<Omit<Cost, 'seconds'>> {
  let seen = { cpuSeconds: Number.NaN, peakMib: Number.NaN };
  const ended = closed.then(
    () => true,
    () => true,
  );
  do {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
      const kib = Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
      seen = {
        cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND,
        peakMib: Number.isNaN(kib) ? seen.peakMib : kib / 1024,
      };
    } catch {
      // It has just ended.
    }
  } while (!(await Promise.race([ended, setTimeout(POLL_MS, false)])));
  return seen;
}
