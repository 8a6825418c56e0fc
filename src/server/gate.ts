import { Denial } from '../access/denial.ts';
import type { AccessControl } from '../access/service.ts';
import type { EntryDraft, EntryPrincipal } from '../audit/entry.ts';
import type { AuditLog } from '../audit/audit-log.ts';
import { detectionProblems } from '../audit/detect/problems.ts';
import type { Responses } from '../audit/detect/responses.ts';
import { prefersReceipt, receiptHeader, type Receipts } from '../audit/receipt/receipts.ts';
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
  readonly audit: Pick<AuditLog, 'append' | 'appendRefusal'>;
  readonly database: Pick<Database, 'asEffectOf'>;
  readonly clock: Clock;
  readonly responses: Pick<Responses, 'verdict'>;
  readonly receipts: Pick<Receipts, 'full'>;
  /** False: a Basic credential is refused like none. */
  readonly acceptBasic: boolean;
}

/**
 * The one choke point: every request of every listener is identified, authorised and recorded here. Requests over
 * `run/admin.sock`, and those composed in the command's own process, come from whoever owns the keep's files.
 */
export function createGate(dependencies: GateDependencies): Gate {
  const { authenticator, access, audit, database, responses, receipts, clock, acceptBasic } = dependencies;
  const owner = localCaller();
  return {
    identify(attempt) {
      if (attempt.listener !== 'tcp') return owner;
      const authorization = attempt.authorization?.reveal();
      const accepted = acceptBasic || !/^basic /i.test(authorization ?? '');
      return authenticator.authenticate(accepted ? authorization : undefined, attempt.source);
    },
    authorize(caller, permission, resource) {
      access.require(caller, permission, resource);
      if (permission === 'model.invoke') holdUp({ responses, clock }, caller, resource);
    },
    async begin(attempt, caller) {
      const draft = draftOf(attempt, caller, undefined);
      draft.phase = 'start';
      return (await audit.append(draft)).id;
    },
    effect: (startId, work) => database.asEffectOf(startId, work),
    async record(attempt, outcome) {
      const entry = entryOf(attempt, outcome, clock);
      return entry.decision === 'allow' ? await audit.append(entry) : await audit.appendRefusal(entry);
    },
    async receipt(prefer, index, { input, output }) {
      if (!prefersReceipt(prefer)) return undefined;
      const nonceOf = ({ nonce }: { readonly nonce: string }): Buffer => Buffer.from(nonce, 'base64');
      const nonces = {
        ...(input && { input: nonceOf(input) }),
        ...(output && { output: nonceOf(output) }),
      };
      return receiptHeader(await receipts.full(index, nonces));
    },
  };
}

/** A detection that asks for slower predictions of a model. Blocks and throttles of a caller come with its credential. */
function holdUp(
  { responses, clock }: Pick<GateDependencies, 'responses' | 'clock'>,
  caller: Caller,
  model: string,
): void {
  const found = responses.verdict({ address: '', principalId: caller.principal.id, model });
  if (found === 'pass') return;
  const waitMs = found.kind === 'throttle' ? found.waitMs : found.until - clock.now();
  throw detectionProblems.throttled('predictions of this model are held up for this caller', {
    headers: { 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) },
  });
}

type Draft = { -readonly [Key in keyof EntryDraft]: EntryDraft[Key] };

function entryOf(attempt: Attempt, outcome: Outcome, clock: Clock): EntryDraft {
  const { facts, status, startId } = outcome;
  const refused = outcome.failure === undefined ? undefined : authenticationFailureIn(outcome.failure);
  const draft = draftOf(attempt, outcome.caller, refused);
  if (startId !== undefined) {
    draft.phase = 'end';
    draft.of = startId;
  }
  draft.http = { method: attempt.method, route: attempt.route, status };
  draft.decision = outcome.decision;
  draft.reason = reasonOf(outcome, refused);
  if (facts.resource !== undefined) draft.resource = facts.resource;
  if (facts.model !== undefined) draft.model = facts.model;
  if (facts.input !== undefined) draft.input = facts.input.hash;
  if (facts.output !== undefined) draft.output = facts.output.hash;
  if (refused !== undefined) draft.detail = tagsOf(refused);
  else if (facts.detail !== undefined) draft.detail = facts.detail;
  draft.latencyUs = Math.round((clock.monotonic() - attempt.startedAt) * 1000);
  return draft;
}

/** The log says why, where the caller is only told that: `identity.wrong_password`, `access.no_matching_binding`. */
function reasonOf({ failure, reason }: Outcome, refused: AuthenticationFailure | undefined): string {
  if (refused !== undefined) return `identity.${refused.reason}`;
  const denial = failure instanceof Error ? failure.cause : undefined;
  return denial instanceof Denial ? `access.${denial.code}` : reason;
}

/** What is known of an attempt before it has an outcome. */
function draftOf(
  attempt: Attempt,
  caller: Caller | undefined,
  refused: AuthenticationFailure | undefined,
): Draft {
  const { resource, permission } = attempt;
  const draft: Draft = {
    phase: 'single',
    request: attempt.requestId,
    action: attempt.action,
    principal: caller === undefined ? strangerOf(refused) : principalOf(caller),
    source: attempt.source,
    http: { method: attempt.method, route: attempt.route },
    decision: 'allow',
    reason: 'allowed',
  };
  if (caller !== undefined) draft.credential = { kind: caller.credential.kind, id: caller.credential.id };
  else if (refused?.credentialId !== undefined)
    draft.credential = { kind: 'refused', id: refused.credentialId };
  if (resource !== undefined) draft.resource = resource;
  if (permission !== undefined) draft.permission = permission;
  return draft;
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

function authenticationFailureIn(failure: unknown): AuthenticationFailure | undefined {
  if (failure instanceof AuthenticationFailure) return failure;
  return failure instanceof Error ? authenticationFailureIn(failure.cause) : undefined;
}

function tagsOf(refused: AuthenticationFailure | undefined): Record<string, string> {
  const { secretTag, claimTag } = refused?.tags ?? {};
  return { ...(secretTag !== undefined && { secretTag }), ...(claimTag !== undefined && { claimTag }) };
}
