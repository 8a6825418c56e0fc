import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import test from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { silentLog } from '../../src/kernel/log.ts';
import { createKeep } from '../../src/server/keep.ts';

/** The kernel's own account of what the server asked of it: `apt-get install strace`. */

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');
const STRACE = ['-f', '--seccomp-bpf', '-s', '8192', '-e', 'trace=pwrite64,fdatasync,write,writev'];

test('every answer leaves after its entry was written and flushed, as the kernel saw it', async (t) => {
  if (spawnSync('strace', ['-f', '--seccomp-bpf', '-o', '/dev/null', 'true']).status !== 0) {
    t.skip('strace is not installed, or may not trace here');
    return;
  }
  const work = await mkdtemp(join(tmpdir(), 'modelkeep-strace-'));
  t.after(() => rm(work, { recursive: true }));
  const home = join(work, 'keep');
  const trace = join(work, 'trace');
  const config = loadConfig({ flags: {}, env: {}, homeDirectory: home, readFile: () => undefined });
  await createKeep({ home, config, clock: systemClock, log: silentLog });
  const server = spawn(
    'strace',
    [...STRACE, '-o', trace, process.execPath, MAIN, '--home', home, 'serve', '--port', '0'],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env['PATH'] ?? '' } },
  );
  t.after(() => server.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: server.stderr }).on('line', (line) => {
      if (line.includes('"server.listening"')) resolve();
    });
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  const socketPath = join(home, 'run', 'admin.sock');
  const ask = async (): Promise<string> => {
    const sent = request({ socketPath, path: '/api/v1/whoami', agent: false }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    response.resume();
    assert.equal(response.statusCode, 200);
    return String(response.headers['x-request-id']);
  };
  const ids: string[] = [];
  for (let round = 0; round < 5; round++) {
    ids.push(await ask());
    ids.push(...(await Promise.all(Array.from({ length: 8 }, ask))));
  }
  // strace itself takes no signal.
  const traced = await readFile(`/proc/${server.pid}/task/${server.pid}/children`, 'utf8');
  const exit = once(server, 'exit');
  process.kill(Number(traced.trim()), 'SIGTERM');
  await exit;

  const calls = readCalls(await readFile(trace, 'utf8'));
  for (const id of ids) {
    const written = calls.find(
      ({ name, text }) => name === 'pwrite64' && text.includes(`\\"request\\":\\"${id}`),
    );
    assert.ok(written, `${id} was written`);
    const flushed = calls.find(
      ({ name, fd, begin }) => name === 'fdatasync' && fd === written.fd && begin > written.end,
    );
    assert.ok(flushed, `${id} was flushed`);
    assert.equal(flushed.result, '0');
    const answers = calls.filter(
      ({ name, text }) => name.startsWith('write') && text.includes(`x-request-id: ${id}`),
    );
    assert.equal(answers.length, 1, `${id} was answered once`);
    assert.ok((answers[0]?.begin ?? 0) > flushed.end, `${id} was answered after it was durable`);
  }
});

interface Call {
  readonly name: string;
  readonly fd: string;
  readonly text: string;
  /** Lines of the trace at which it was made and came back. */
  readonly begin: number;
  readonly end: number;
  readonly result: string | undefined;
}

/** Calls that another thread's call interrupts stand in two lines, `… <unfinished ...>` and `<... NAME resumed>…`. */
function readCalls(trace: string): readonly Call[] {
  const calls: Call[] = [];
  const open = new Map<string, Omit<Call, 'end' | 'result'>>();
  for (const [at, line] of trace.split('\n').entries()) {
    const [, thread = '', rest = ''] = /^(\d+)\s+(.*)$/s.exec(line) ?? [];
    const result = /= (-?\d+)[^=]*$/.exec(rest)?.[1];
    const resumed = open.get(thread);
    if (rest.startsWith('<... ')) {
      open.delete(thread);
      if (resumed !== undefined) calls.push({ ...resumed, text: resumed.text + rest, end: at, result });
      continue;
    }
    const [, name, fd = ''] = /^(\w+)\((\d+)/.exec(rest) ?? [];
    if (name === undefined) continue;
    const call = { name, fd, text: rest, begin: at };
    if (rest.endsWith('<unfinished ...>')) open.set(thread, call);
    else calls.push({ ...call, end: at, result });
  }
  return calls.toSorted((a, b) => a.begin - b.begin);
}
