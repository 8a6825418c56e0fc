import { readFile } from 'node:fs/promises';
import { type Policy, parsePolicy } from './policy.ts';
import { witnessProblems } from './problems.ts';

/** Rejects with `audit.witness_policy_unreadable`, or as `parsePolicy` throws; either names the file. */
export async function readPolicy(path: string): Promise<Policy> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    const why = cause.code === 'ENOENT' ? 'there is no such file' : (cause.code ?? 'it cannot be read');
    throw witnessProblems.witness_policy_unreadable(`${path}: ${why}`, { cause });
  });
  return parsePolicy(bytes, path);
}
