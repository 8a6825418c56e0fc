import { closeSync, openSync } from 'node:fs';
import { ReadStream, WriteStream } from 'node:tty';
import type * as clack from '@clack/prompts';
import { systemClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { CliFailure } from './failure.ts';
import type { CliIo, Prompt } from './io.ts';

type ProcessStreams = Pick<NodeJS.Process, 'stdin' | 'stdout' | 'stderr' | 'once'>;

/** The process as commands see it. */
export function createTerminal(process: ProcessStreams, environment: CliIo['environment']): CliIo {
  const { stdin, stdout, stderr } = process;
  let interruption: AbortController | undefined;
  // Signals are caught from the moment that a command looks at `interrupted`, once each: before that, and on the second
  // one, they kill, as ever.
  const interrupted = (): AbortSignal => {
    if (interruption === undefined) {
      const controller = new AbortController();
      for (const signal of ['SIGINT', 'SIGTERM'] as const)
        process.once(signal, () => controller.abort(signal));
      interruption = controller;
    }
    return interruption.signal;
  };
  return {
    stdin,
    stdout,
    stderr,
    stdinIsTerminal: stdin.isTTY,
    stdoutIsTerminal: stdout.isTTY,
    stderrIsTerminal: stderr.isTTY,
    columns: stdout.isTTY ? stdout.columns : undefined,
    environment,
    clock: systemClock,
    prompt: createPrompt(),
    wait: (ms) => waitUnless(ms, interrupted()),
    get interrupted() {
      return interrupted();
    },
  };
}

const TERMINAL = '/dev/tty';

/** Asks on the controlling terminal, which is there even when stdin and stdout are pipes. */
function createPrompt(): Prompt | undefined {
  try {
    closeSync(openSync(TERMINAL, 'r+'));
  } catch {
    return undefined;
  }
  return {
    password: async (message) =>
      new Secret(await ask<string>(({ password }, streams) => password({ message, mask: '•', ...streams }))),
    confirm: (message) =>
      ask<boolean>(({ confirm }, streams) => confirm({ message, initialValue: false, ...streams })),
  };
}

type Prompts = typeof clack;

/** The prompts are loaded when there is something to ask: most commands ask nothing, and start faster. */
async function ask<T>(
  question: (
    prompts: Prompts,
    streams: { readonly input: ReadStream; readonly output: WriteStream },
  ) => Promise<T | symbol>,
): Promise<T> {
  const prompts = await import('@clack/prompts');
  const input = new ReadStream(openSync(TERMINAL, 'r+'));
  const output = new WriteStream(openSync(TERMINAL, 'r+'));
  try {
    const answer = await question(prompts, { input, output });
    if (prompts.isCancel(answer)) throw new CliFailure('given up');
    return answer as T;
  } finally {
    input.destroy();
    output.destroy();
  }
}

function waitUnless(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    return undefined;
  });
}
