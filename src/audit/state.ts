import { auditProblems } from './problems.ts';
import { readLogFile } from './log-files.ts';

/**
 * What the signer has signed last. It is durable before the checkpoint is published, so that after a crash nothing
 * inconsistent with it is ever signed.
 */
export interface State {
  readonly v: 1;
  readonly vkey: string;
  /** Random, new with each opening: a signer that finds another owner has been replaced and stops. */
  readonly owner: string;
  readonly checkpoint: string;
  /** Size under the checkpoint before this one. */
  readonly previousSize: number;
  /** No entry below this index is a start that waits for its end. */
  readonly unfinishedFrom: number;
}

export const STATE_FILE = 'state.json';

export function serialiseState({ vkey, owner, checkpoint, previousSize, unfinishedFrom }: State): string {
  return `${JSON.stringify({ v: 1, vkey, owner, checkpoint, previousSize, unfinishedFrom }, undefined, 2)}\n`;
}

export function parseState(text: string): State | undefined {
  try {
    const state = JSON.parse(text) as State;
    const isWhole =
      state.v === 1 &&
      [state.vkey, state.owner, state.checkpoint].every((each) => typeof each === 'string') &&
      [state.previousSize, state.unfinishedFrom].every((each) => Number.isSafeInteger(each) && each >= 0);
    return isWhole && serialiseState(state) === text ? state : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined if there is no state. Throws `audit.log_corrupt` if it cannot be read. */
export function readState(directory: string): { readonly state: State; readonly text: string } | undefined {
  const text = readLogFile(directory, STATE_FILE)?.toString();
  if (text === undefined) return undefined;
  const state = parseState(text);
  if (state === undefined) throw auditProblems.log_corrupt(`${STATE_FILE} is damaged`);
  return { state, text };
}
