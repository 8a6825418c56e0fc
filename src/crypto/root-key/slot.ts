import { isProblem, type Problem } from '../../kernel/problem.ts';
import { cryptoProblems } from '../problems.ts';
import { readPrivateFile, writePrivateFile } from './private-file.ts';

/** Two files, current and previous, of one provider. */
export interface Slot {
  readonly path: string;
  readonly bytesMax: number;
  /** What the files hold, for messages. */
  readonly what: string;
}

export const previousPath = (path: string): string => `${path}.previous`;

/** For a slot that should have been filled: a keep that comes from another provider has to be told how. */
export function missing(path: string): Problem {
  return cryptoProblems.root_key_missing(
    `there is no "${path}"; a keep that moves to this provider makes it with: modelkeep root-key rotate`,
  );
}

/**
 * Puts `next` into the current file; what was there moves to the previous one. Killed between the two steps, it leaves both
 * files alike, and a second run goes on. Throws `crypto.root_key_exists` if another key lies in the previous file: the key
 * ring may still be sealed to it.
 */
export async function shiftSlot(slot: Slot, next: string): Promise<void> {
  const current = await readSlot(slot);
  if (current !== undefined) await preserve(slot, current);
  await writePrivateFile(slot.path, next, true);
}

/** The text of a slot's file, or undefined if there is none. Throws as `readPrivateFile`. */
export async function readSlot(slot: Slot): Promise<string | undefined> {
  try {
    const text = await readPrivateFile(slot);
    if (text === undefined)
      throw cryptoProblems.root_key_malformed(`"${slot.path}" is too large for a ${slot.what}`);
    return text;
  } catch (error) {
    if (isProblem(error, cryptoProblems.root_key_missing)) return undefined;
    throw error;
  }
}

async function preserve(slot: Slot, current: string): Promise<void> {
  const path = previousPath(slot.path);
  try {
    await writePrivateFile(path, current, false);
  } catch (error) {
    if (!isProblem(error, cryptoProblems.output_exists)) throw error;
    if ((await readSlot({ ...slot, path })) === current) return;
    throw cryptoProblems.root_key_exists(
      `"${path}" exists; start the keep once with the root key before last, then move that file out of the keep`,
      { cause: error },
    );
  }
}
