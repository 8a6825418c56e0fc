import { readFile } from 'node:fs/promises';
import type { Verification } from '../../audit/audit-log.ts';
import { usage } from '../failure.ts';
import { printable } from '../table.ts';

/** Options of commands that check a copy of the log: verifier keys, of which one of each kind must have signed. */
export interface KeyOptions {
  readonly key: readonly string[];
  readonly keyFile?: string;
}

export const KEY = [
  '--key <vkey>',
  'the verifier key, from `audit vkey`: never take it from the copy itself; more than once if it has changed, and for its ML-DSA-44 key, whose signature is then demanded, too',
] as const;
export const KEY_FILE = ['--key-file <file>', 'a file that holds verifier keys, one a line'] as const;

export const collectKey = (value: string, all: readonly string[]): readonly string[] => [...all, value];

/** The keys as they were given: whether they are any is said by the check. */
export async function readKeys({ key, keyFile }: KeyOptions): Promise<readonly string[]> {
  const lines = keyFile === undefined ? [] : (await readFile(keyFile, 'utf8')).split('\n');
  const keys = [...key, ...lines].map((each) => each.trim()).filter((each) => each !== '');
  if (keys.length > 0) return keys;
  throw usage('give the verifier key with --key or --key-file', 'the keep tells it: modelkeep audit vkey');
}

/** What a person has to know besides that the log holds. */
export function successorsText({ successors = [] }: Pick<Verification, 'successors'>): string {
  const head = 'the log changes its key, and says so under the one you gave; trust from now on:\n';
  return successors.length === 0 ? '' : head + successors.map((each) => `  ${printable(each)}\n`).join('');
}
