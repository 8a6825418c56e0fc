import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../kernel/clock.ts';
import type { Secret } from '../kernel/secret.ts';

/** Everything a command may touch of the process that runs it. */
export interface CliIo {
  readonly stdin: Readable;
  /** Results, and nothing else. */
  readonly stdout: Writable;
  /** Talk: progress, hints, errors. */
  readonly stderr: Writable;
  readonly stdinIsTerminal: boolean;
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** Columns of the terminal behind stdout; undefined when there is none. */
  readonly columns: number | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Questions to the person at the terminal; undefined when there is no terminal to ask on. */
  readonly prompt: Prompt | undefined;
  /** Resolves after `ms`, or at once when `interrupted` fires. */
  wait(ms: number): Promise<void>;
  /** Fires on the first SIGINT or SIGTERM. */
  readonly interrupted: AbortSignal;
}

/** Asks on the terminal itself, so that stdin and stdout stay free for data. Rejects when the person gives up. */
export interface Prompt {
  /** Not echoed. */
  password(message: string): Promise<Secret<string>>;
  confirm(message: string): Promise<boolean>;
}
