import { Readable, Writable } from 'node:stream';
import { createManualClock, type ManualClock } from '../kernel/clock.ts';
import { Secret } from '../kernel/secret.ts';
import { createCli } from './cli.ts';
import type { CliIo } from './io.ts';
import { ApiFailure, type KeepAccess, type KeepCall, type KeepClient } from './keep-client.ts';

/** A process for tests: what goes in is given, what comes out is kept. */
export interface TestIo extends CliIo {
  readonly clock: ManualClock;
  out(): string;
  err(): string;
}

export interface TestIoOptions {
  readonly stdin?: string;
  /** stdout is a terminal of this many columns. */
  readonly columns?: number;
  readonly environment?: Readonly<Record<string, string>>;
  /** Answers to prompts, in order; a string for a password, a boolean for a confirmation. Absent: no terminal. */
  readonly answers?: readonly (string | boolean)[];
  readonly interrupted?: AbortSignal;
  /** Called where a command would wait. */
  readonly wait?: (ms: number) => Promise<void>;
}

export function createTestIo(options: TestIoOptions = {}): TestIo {
  const stdout = collector();
  const stderr = collector();
  const answers = [...(options.answers ?? [])];
  const answer = (): Promise<string | boolean> => {
    const next = answers.shift();
    return next === undefined ? Promise.reject(new Error('an unexpected question')) : Promise.resolve(next);
  };
  return {
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin)]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    stdinIsTerminal: false,
    stdoutIsTerminal: options.columns !== undefined,
    stderrIsTerminal: false,
    columns: options.columns,
    environment: options.environment ?? {},
    clock: createManualClock(),
    prompt:
      options.answers === undefined
        ? undefined
        : {
            password: async () => new Secret(String(await answer())),
            confirm: async () => (await answer()) === true,
          },
    wait: options.wait ?? (() => Promise.resolve()),
    interrupted: options.interrupted ?? new AbortController().signal,
    out: stdout.text,
    err: stderr.text,
  };
}

function collector(): { stream: Writable; text: () => string } {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}

/** A call as the keep would see it. */
export interface SeenCall extends Omit<KeepCall, 'stream'> {
  /** What came through `stream`. */
  readonly bytes?: Buffer;
}

/** A keep that answers what the test says; `undefined` for an answer without a body, `ApiFailure` for a refusal. */
export type Answers = (call: SeenCall) => unknown;

export function createFakeAccess(
  answers: Answers,
): KeepAccess & { readonly calls: SeenCall[]; open: number } {
  const calls: SeenCall[] = [];
  const see = async ({ stream, ...call }: KeepCall): Promise<unknown> => {
    const query = Object.fromEntries(
      Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined),
    );
    const seen: SeenCall = {
      ...call,
      ...(call.query === undefined ? {} : { query }),
      // As JSON would carry it.
      ...(call.body === undefined ? {} : { body: JSON.parse(JSON.stringify(call.body)) as unknown }),
      ...(stream === undefined ? {} : { bytes: Buffer.concat(await Array.fromAsync(stream)) }),
    };
    calls.push(seen);
    const answer = answers(seen);
    if (answer instanceof ApiFailure) throw answer;
    return answer;
  };
  const client: KeepClient = {
    request: async <T>(call: KeepCall) => (await see(call)) as T,
    async *download(call) {
      yield Buffer.from((await see(call)) as string | Uint8Array);
    },
    close() {
      access.open--;
      return Promise.resolve();
    },
  };
  const access = {
    calls,
    open: 0,
    initKeep: ({ home }: { home: string }) =>
      Promise.resolve({
        home,
        setupToken: new Secret('mst_example'),
        recipient: 'age1example',
        rootKeyCopy: `${home}/root.key`,
      }),
    openClient() {
      access.open++;
      return Promise.resolve(client);
    },
    serve: () => Promise.resolve(0),
    demo: () => Promise.resolve(0),
  };
  return access;
}

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs one command line, as a user would type it, without the word `modelkeep`. */
export async function runCli(
  argv: readonly string[],
  access: KeepAccess = createFakeAccess(() => undefined),
  options: TestIoOptions = {},
): Promise<Outcome> {
  const io = createTestIo(options);
  const code = await createCli({ access, io, version: '1.2.3' }).run(argv);
  return { code, out: io.out(), err: io.err() };
}
