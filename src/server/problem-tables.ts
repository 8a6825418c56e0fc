import { accessProblems } from '../access/problems.ts';
import { detectionProblems } from '../audit/detect/problems.ts';
import { privacyProblems } from '../audit/privacy/problems.ts';
import { auditProblems } from '../audit/problems.ts';
import { receiptProblems } from '../audit/receipt/problems.ts';
import { witnessProblems } from '../audit/witness/problems.ts';
import { configProblems } from '../config/problems.ts';
import { engineProblems } from '../crypto/engine/problems.ts';
import { cryptoProblems } from '../crypto/problems.ts';
import { ringProblems } from '../crypto/ring/problems.ts';
import { valueProblems } from '../crypto/values/problems.ts';
import { httpProblems } from '../http/problems.ts';
import { identityProblems } from '../identity/problems.ts';
import type { ProblemDefinition } from '../kernel/problem.ts';
import { encryptionProblems } from '../keys/encryption-problems.ts';
import { keysProblems } from '../keys/problems.ts';
import { modelsProblems } from '../models/problems.ts';
import { servingProblems } from '../serving/problems.ts';
import { storageProblems } from '../storage/problems.ts';
import { keepProblems } from './problems.ts';

/** Every failure that has a code, of every room. */
export const PROBLEMS: readonly ProblemDefinition[] = [
  accessProblems,
  auditProblems,
  detectionProblems,
  privacyProblems,
  receiptProblems,
  witnessProblems,
  configProblems,
  cryptoProblems,
  engineProblems,
  ringProblems,
  valueProblems,
  httpProblems,
  identityProblems,
  keepProblems,
  keysProblems,
  encryptionProblems,
  modelsProblems,
  servingProblems,
  storageProblems,
].flatMap((table): ProblemDefinition[] => Object.values(table));

/** The reference page of problem codes. */
export function renderProblemsReference(): string {
  const rows = PROBLEMS.toSorted((a, b) => (a.code < b.code ? -1 : 1)).map(
    ({ code, status, title, help }) => `## \`${code}\`\n\n${status}: ${title}.\n\n${help}\n`,
  );
  return `# Problem codes\n\nFailures are answered as RFC 9457 problem details; \`type\` is \`/problems/CODE\`, which the server answers with the\ntext below. On the command line the code stands in parentheses.\n\n${rows.join('\n')}`;
}
