import { Denial } from '../access/denial.ts';
import type { AccessControl } from '../access/service.ts';
import type { EntryDraft, EntryPrincipal } from '../audit/entry.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import type { Attempt, Gate, Outcome } from '../http/gate.ts';
import { AuthenticationFailure } from '../identity/authentication-failure.ts';
import type { Authenticator } from '../identity/authenticator.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import type { Database } from '../storage/database.ts';
import { localCaller } from './local-caller.ts';

export interface GateDependencies {
  readonly authenticator: Authenticator;
  readonly access: AccessControl;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly database: Pick<Database, 'asEffectOf'>;
  readonly clock: Clock;
  /** False: a Basic credential is refused like none. */
  readonly acceptBasic: boolean;
}

/**
 * The one choke point: every request of every listener is identified, authorised and recorded here. Requests over
 * `run/admin.sock`, and those composed in the command's own process, come from whoever owns the keep's files.
 */
export function createGate(dependencies: GateDependencies): Gate {
  const { authenticator, access, audit, database, clock, acceptBasic } = dependencies;
  const owner = localCaller();
  return {
    identify(attempt) {
      if (attempt.listener !== 'tcp') return owner;
      const authorization = attempt.authorization?.reveal();
      const accepted = acceptBasic || !/^basic /i.test(authorization ?? '');
      return authenticator.authenticate(accepted ? authorization : undefined, attempt.source);
    },
    authorize: (caller, permission, resource) => access.require(caller, permission, resource),
    async begin(attempt, caller) {
      const draft = {
        ...common(attempt, caller, undefined),
        phase: 'start',
        decision: 'allow',
        reason: 'allowed',
      } as const;
      return (await audit.append(draft)).id;
    },
    effect: (startId, work) => database.asEffectOf(startId, work),
    async record(attempt, outcome) {
      const { index } = await audit.append(entryOf(attempt, outcome, clock));
      return { index };
    },
  };
}

function entryOf(attempt: Attempt, outcome: Outcome, clock: Clock): EntryDraft {
  const { facts } = outcome;
  const refused = authenticationFailureIn(outcome.failure);
  return {
    ...common(attempt, outcome.caller, refused),
    phase: outcome.startId === undefined ? 'single' : 'end',
    ...(outcome.startId === undefined ? {} : { of: outcome.startId }),
    http: { method: attempt.method, route: attempt.route, status: outcome.status },
    ...(facts.resource === undefined ? {} : { resource: facts.resource }),
    decision: outcome.decision,
    reason: reasonOf(outcome, refused),
    ...(facts.model === undefined ? {} : { model: facts.model }),
    ...(facts.input === undefined ? {} : { input: facts.input }),
    ...(facts.output === undefined ? {} : { output: facts.output }),
    ...(facts.detail === undefined ? {} : { detail: facts.detail }),
    latencyUs: Math.round((clock.monotonic() - attempt.startedAt) * 1000),
  };
}

/** The log says why, where the caller is only told that: `identity.wrong_password`, `access.no_matching_binding`. */
function reasonOf({ failure, reason }: Outcome, refused: AuthenticationFailure | undefined): string {
  if (refused !== undefined) return `identity.${refused.reason}`;
  const denial = failure instanceof Error ? failure.cause : undefined;
  return denial instanceof Denial ? `access.${denial.code}` : reason;
}

function common(
  attempt: Attempt,
  caller: Caller | undefined,
  refused: AuthenticationFailure | undefined,
): Omit<EntryDraft, 'phase' | 'decision' | 'reason'> {
  const credential = caller?.credential;
  return {
    request: attempt.requestId,
    action: attempt.action,
    principal: caller === undefined ? strangerOf(refused) : principalOf(caller),
    ...(credential === undefined
      ? credentialOf(refused)
      : { credential: { kind: credential.kind, id: credential.id } }),
    source: attempt.source,
    http: { method: attempt.method, route: attempt.route },
    ...(attempt.resource === undefined ? {} : { resource: attempt.resource }),
    ...(attempt.permission === undefined ? {} : { permission: attempt.permission }),
  };
}

function principalOf({ principal }: Caller): EntryPrincipal {
  return { kind: principal.kind, id: principal.id, name: principal.name };
}

/** Inside the log a refused attempt names whom it claimed to be, where that principal exists. */
function strangerOf(refused: AuthenticationFailure | undefined): EntryPrincipal {
  return refused?.principalId === undefined
    ? { kind: 'anonymous' }
    : { kind: 'anonymous', id: refused.principalId };
}

function credentialOf(refused: AuthenticationFailure | undefined): Pick<EntryDraft, 'credential'> {
  return refused?.credentialId === undefined
    ? {}
    : { credential: { kind: 'refused', id: refused.credentialId } };
}

function authenticationFailureIn(failure: unknown): AuthenticationFailure | undefined {
  if (failure instanceof AuthenticationFailure) return failure;
  return failure instanceof Error ? authenticationFailureIn(failure.cause) : undefined;
}
