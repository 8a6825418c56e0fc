import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts');

export interface ServerProcess {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
  readonly child: ChildProcess;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves with the exit code. */
  stop(): Promise<number | null>;
}

/** `modelkeep serve` as a user runs it, on a free port of loopback. Rejects with its stderr if it does not come up. */
export async function startServer(home: string, flags: readonly string[] = []): Promise<ServerProcess> {
  const child = spawn(process.execPath, [MAIN, '--home', home, 'serve', '--port', '0', ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'] ?? '' },
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  const said: string[] = [];
  const base = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stderr }).on('line', (line) => {
      said.push(line);
      const event = line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : {};
      if (event['event'] === 'server.listening') resolve(`http://127.0.0.1:${String(event['port'])}`);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}:\n${said.join('\n')}`)));
  });
  return {
    base,
    child,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      return (await ended)[0];
    },
  };
}

/** Runs `modelkeep` with `args`; resolves with what it printed and its exit code. */
export async function runCli(
  args: readonly string[],
  options: {
    readonly input?: string;
    readonly environment?: Readonly<Record<string, string>>;
    /** Words in front of the command, such as `prlimit` and its limits. */
    readonly under?: readonly string[];
  } = {},
): Promise<{ readonly code: number | null; readonly stdout: string; readonly stderr: string }> {
  const [program = '', ...words] = [...(options.under ?? []), process.execPath, MAIN, ...args];
  const child = spawn(program, words, {
    env: { PATH: process.env['PATH'] ?? '', ...options.environment },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdin.end(options.input ?? '');
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}
