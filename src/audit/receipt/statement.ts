import type { Entry } from '../entry.ts';

/** `unchecked`: the bytes were not given; `absent`: the entry commits to none. */
export type CommitmentState = 'proven' | 'unchecked' | 'absent';

export interface ReceiptFacts {
  readonly origin: string;
  readonly index: number;
  readonly size: number;
  readonly entry: Entry;
  readonly input: CommitmentState;
  readonly output: CommitmentState;
}

export interface Statement {
  readonly proven: readonly string[];
  readonly unproven: readonly string[];
}

/** What a verified receipt says, and what it does not, in sentences. Texts of the entry stand in them as they are. */
export function statementOf(facts: ReceiptFacts, isWitnessed: boolean): Statement {
  const { origin, index, size, entry, input, output } = facts;
  const proven = [
    `${origin} signed that entry ${index} of its first ${size} is this one`,
    `${whoOf(entry)} attempted ${entry.action}${entry.resource === undefined ? '' : ` on ${entry.resource}`}`,
    `the decision was ${entry.decision}: ${entry.reason}`,
  ];
  if (entry.model !== undefined)
    proven.push(`it concerned version ${entry.model.version} of the model, SHA-256 ${entry.model.digest}`);
  if (entry.phase !== 'single') proven.push(`the entry is the ${entry.phase} of the attempt`);
  if (input === 'proven') proven.push('the input is the one that the keep received');
  if (output === 'proven') proven.push('the output is the one that the keep answered');
  if (isWitnessed) proven.push('a quorum of the witnesses has seen the log as it is here');
  const unproven = [`that it happened at ${entry.time}: this is what the clock of the keep said`];
  if (input === 'unchecked')
    unproven.push('which input was sent: the entry commits to it, and it was not given');
  if (output === 'unchecked')
    unproven.push('which output was answered: the entry commits to it, and it was not given');
  if (input === 'absent' && output === 'absent')
    unproven.push('what was sent and answered: the entry commits to neither');
  if (!isWitnessed)
    unproven.push('that the log shows the same history to everyone: no witnesses were asked for');
  return { proven, unproven };
}

function whoOf({ principal: { kind, id, name } }: Entry): string {
  const label = [kind.replace('_', ' '), name].filter((part) => part !== undefined).join(' ');
  return id === undefined ? label : `${label} (${id})`;
}
