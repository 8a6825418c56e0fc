import type { Caller } from '../kernel/principal.ts';
import { defineProblems } from '../kernel/problem.ts';
import type { Attempt, Gate, Outcome } from './gate.ts';

export const memoryGateProblems = defineProblems('test', {
  unauthenticated: { status: 401, title: 'No valid credential', help: 'Send a credential.' },
  denied: { status: 403, title: 'Denied', help: 'Ask for the permission.' },
  unavailable: { status: 503, title: 'The audit log cannot be written', help: 'Mend the disk.' },
});

/** What a gate was asked, in order. */
export type GateEvent =
  | { readonly kind: 'identify'; readonly attempt: Attempt }
  | { readonly kind: 'authorize'; readonly permission: string; readonly resource: string }
  | { readonly kind: 'begin'; readonly attempt: Attempt }
  | { readonly kind: 'effect'; readonly startId: string }
  | { readonly kind: 'record'; readonly attempt: Attempt; readonly outcome: Outcome };

export interface MemoryGate extends Gate {
  readonly events: GateEvent[];
  readonly records: readonly Extract<GateEvent, { kind: 'record' }>[];
  /** From now on nothing can be recorded. */
  failRecords(error: Error): void;
  failBegin(error: Error): void;
}

/** The double of a gate: `Bearer NAME` is a caller of that name; `nobody` may do nothing. */
export function createMemoryGate(): MemoryGate {
  const events: GateEvent[] = [];
  let recordFailure: Error | undefined;
  let beginFailure: Error | undefined;
  const records = (): Extract<GateEvent, { kind: 'record' }>[] =>
    events.filter((event) => event.kind === 'record');
  return {
    events,
    get records() {
      return records();
    },
    failRecords(error) {
      recordFailure = error;
    },
    failBegin(error) {
      beginFailure = error;
    },
    identify(attempt) {
      events.push({ kind: 'identify', attempt: { ...attempt } });
      const name =
        attempt.listener === 'tcp'
          ? /^Bearer (\w+)$/.exec(attempt.authorization?.reveal() ?? '')?.[1]
          : 'owner';
      if (name === undefined) {
        throw memoryGateProblems.unauthenticated('No valid credential.', {
          headers: { 'WWW-Authenticate': 'Bearer' },
        });
      }
      return callerNamed(name);
    },
    authorize(caller, permission, resource) {
      events.push({ kind: 'authorize', permission, resource });
      if (caller.principal.name === 'nobody') {
        throw memoryGateProblems.denied(`Needs ${permission} at ${resource}.`, {
          members: { permission, scope: resource },
        });
      }
    },
    async begin(attempt) {
      if (beginFailure !== undefined) throw beginFailure;
      events.push({ kind: 'begin', attempt: { ...attempt } });
      return `start-${events.length}`;
    },
    effect(startId, work) {
      events.push({ kind: 'effect', startId });
      return work();
    },
    async record(attempt, outcome) {
      if (recordFailure !== undefined) throw recordFailure;
      events.push({ kind: 'record', attempt: { ...attempt }, outcome });
      return { index: records().length - 1, leaf: new Uint8Array(32).fill(records().length) };
    },
    receipt: async (prefer, index) => (prefer === 'audit-receipt=full' ? `receipt of ${index}` : undefined),
  };
}

function callerNamed(name: string): Caller {
  return {
    principal: { kind: 'user', id: `usr_${name}`, name, groups: [] },
    credential: { kind: 'api_key', id: `key_${name}` },
  };
}
