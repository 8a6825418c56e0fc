import { CliFailure, usage } from './failure.ts';
import type { CliIo } from './io.ts';

/** Asks before something is destroyed; `yes` answers in advance. */
export async function requireYes(io: CliIo, yes: boolean | undefined, question: string): Promise<void> {
  if (yes === true) return;
  if (io.prompt === undefined)
    throw usage(`there is no terminal to ask on: ${question}`, 'add --yes to go ahead');
  if (!(await io.prompt.confirm(question))) throw new CliFailure('nothing was changed');
}
