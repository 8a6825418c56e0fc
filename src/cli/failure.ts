import { CommanderError } from 'commander';
import { isProblem } from '../kernel/problem.ts';
import { ApiFailure } from './keep-client.ts';

export const EXIT = { ok: 0, failure: 1, usage: 2, verification: 3, denied: 4 } as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

/** A command that cannot go on: one sentence, the way out if there is one, and the exit code. */
export class CliFailure extends Error {
  override readonly name = 'CliFailure';
  readonly exitCode: number;
  readonly hint: string | undefined;

  constructor(
    message: string,
    options: { exitCode?: number; hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.exitCode = options.exitCode ?? EXIT.failure;
    this.hint = options.hint;
  }
}

export function usage(message: string, hint?: string): CliFailure {
  return new CliFailure(message, { exitCode: EXIT.usage, hint });
}

/** What is told of a failure. */
export interface FailureReport {
  readonly message: string;
  readonly hint?: string | undefined;
  readonly code?: string | undefined;
  readonly exitCode: number;
}

/** Any thrown value as a report. Commander's own errors were already printed by commander, but for the exit code. */
export function reportOf(error: unknown): FailureReport {
  if (error instanceof CliFailure)
    return { message: error.message, hint: error.hint, exitCode: error.exitCode };
  if (error instanceof ApiFailure) return reportOfApi(error);
  if (isProblem(error)) {
    const { title, detail, code, status, members } = error;
    return { message: withList(detail, { ...members, title }), code, exitCode: exitCodeOf(status, code) };
  }
  if (error instanceof CommanderError) {
    return { message: error.message, exitCode: error.exitCode === 0 ? EXIT.ok : EXIT.usage };
  }
  if (error instanceof Error) {
    const known = SYSTEM[(error as NodeJS.ErrnoException).code ?? ''];
    const path = (error as NodeJS.ErrnoException).path;
    return {
      message: known === undefined ? error.message : `${path ?? 'the file'} ${known}`,
      exitCode: EXIT.failure,
    };
  }
  return { message: String(error), exitCode: EXIT.failure };
}

function reportOfApi({ status, problem, message }: ApiFailure): FailureReport {
  const code = problem.code;
  return {
    message: withList(message, problem),
    code,
    hint:
      status === 401 ? 'set MODELKEEP_API_KEY, or MODELKEEP_USER with MODELKEEP_PASSWORD_FILE' : undefined,
    exitCode: exitCodeOf(status, code ?? ''),
  };
}

/** A problem that found several things at once lists them in one member, and its detail may join them: one a line. */
function withList(detail: string, members: Readonly<Record<string, unknown>>): string {
  const list = ['violations', 'issues', 'errors'].map((name) => members[name]).find(Array.isArray);
  if (list === undefined) return detail;
  const items = (list as readonly unknown[]).map((item) =>
    typeof item === 'string' ? item : JSON.stringify(item),
  );
  const intro = detail === items.join('; ') ? titleOf(members) : detail;
  return [intro, ...items].join('\n  ');
}

function titleOf({ title }: Readonly<Record<string, unknown>>): string {
  return typeof title === 'string' ? title : 'several things are wrong';
}

/** Damage that a check found is a failed verification, wherever the check ran. */
function exitCodeOf(status: number, code: string): ExitCode {
  if (status === 401 || status === 403) return EXIT.denied;
  return /[._](corrupt|tampered|truncated|mismatch)$/.test(code) ? EXIT.verification : EXIT.failure;
}

const SYSTEM: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be opened by this user',
  EPERM: 'may not be changed by this user',
  EISDIR: 'is a directory',
  ENOTDIR: 'is not a directory',
  EEXIST: 'already exists',
  ENOSPC: 'cannot be written: the disk is full',
  EROFS: 'cannot be written: the file system is read-only',
};
