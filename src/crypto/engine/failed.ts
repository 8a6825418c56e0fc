import { isProblem, type ProblemDefinition } from '../../kernel/problem.ts';
import { codeOf } from '../durable-file.ts';
import { cryptoProblems } from '../problems.ts';

/** An error as data that passes from a thread: cloning would lose its class. */
export interface Failed {
  readonly message: string;
  /** Of a system error, or of a problem of this room. */
  readonly code: string | undefined;
}

export function failedBy(error: unknown): Failed {
  if (isProblem(error)) return { message: error.detail, code: error.code };
  return { message: error instanceof Error ? error.message : String(error), code: codeOf(error) };
}

/** The error again, on the side of the pool. */
export function errorOf({ message, code }: Failed): Error {
  const definition = Object.values<ProblemDefinition>(cryptoProblems).find((row) => row.code === code);
  if (definition) return definition(message);
  return Object.assign(new Error(message), code === undefined ? {} : { code });
}
