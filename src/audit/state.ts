import type { KeyOverlap } from './key-overlap.ts';
import { auditProblems } from './problems.ts';
import { readLogFile } from './log-files.ts';

/**
 * What the signer has signed last. It is durable before the checkpoint is published, so that after a crash nothing
 * inconsistent with it is ever signed.
 */
export interface State {
  /** The verifier key of the log; while it changes, the old one. */
  readonly vkey: string;
  /** The log changes its key: checkpoints carry both signatures. */
  readonly rotation?: KeyOverlap;
  /** Random, new with each opening: a signer that finds another owner has been replaced and stops. */
  readonly owner: string;
  readonly checkpoint: string;
  /** Size under the checkpoint before this one. */
  readonly previousSize: number;
  /** No entry below this index is a start that waits for its end. */
  readonly unfinishedFrom: number;
}

export const STATE_FILE = 'state.json';
/** Verifier keys, one a line, the present one first: for convenience, nothing is verified with it. */
export const VKEY_FILE = 'vkey';

/** Version 2 has a rotation, version 1 has none: a program that knows only one key of a log must not go on with it. */
export function serialiseState(state: State): string {
  const { vkey, rotation, owner, checkpoint, previousSize, unfinishedFrom } = state;
  const head = rotation === undefined ? { v: 1, vkey } : { v: 2, vkey, rotation: ordered(rotation) };
  return `${JSON.stringify({ ...head, owner, checkpoint, previousSize, unfinishedFrom }, undefined, 2)}\n`;
}

const ordered = ({ to, until }: KeyOverlap): KeyOverlap => ({ to, until });

export function parseState(text: string): State | undefined {
  try {
    const { v: _, ...state } = JSON.parse(text) as State & { readonly v: unknown };
    const { to = '', until = 0 } = state.rotation ?? {};
    const isWhole =
      [state.vkey, state.owner, state.checkpoint, to].every((each) => typeof each === 'string') &&
      [state.previousSize, state.unfinishedFrom, until].every(
        (each) => Number.isSafeInteger(each) && each >= 0,
      );
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
