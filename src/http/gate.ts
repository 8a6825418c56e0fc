import type { Caller } from '../kernel/principal.ts';
import type { Secret } from '../kernel/secret.ts';
import type { AuditFacts } from './route.ts';

/**
 * What the transport asks of the house: who calls, may they, and is it written down. The server composes it from
 * identity/, access/ and audit/; the transport knows none of them.
 */
export interface Gate {
  /** Who calls. Throws a Problem for every failure; called before the body is read. */
  identify(attempt: Attempt): Promise<Caller> | Caller;
  /** Throws `access.denied`. Synchronous: the decision is made on what is in memory. */
  authorize(caller: Caller, permission: string, resource: string): void;
  /**
   * An effect is about to happen: resolves with the start's id when the start is durable; if it rejects, the effect
   * does not happen. `caller` is undefined on public routes.
   */
  begin(attempt: Attempt, caller: Caller | undefined): Promise<string>;
  /** Runs an effect so that its database transaction carries the start's id. */
  effect<T>(startId: string, work: () => Promise<T>): Promise<T>;
  /**
   * Every exit, once, before the answer leaves; resolves when it is durable with where the entry stands and its leaf
   * hash, or with undefined where a flood of refusals is only counted. If it rejects, nothing of the answer leaves but the Problem it rejected with.
   */
  record(
    attempt: Attempt,
    outcome: Outcome,
  ): Promise<{ readonly index: number; readonly leaf: Uint8Array } | undefined>;
  /** The value of a header that proves the entry at `index`, if the request's `Prefer` header asks for one. */
  receipt(prefer: string, index: number, facts: AuditFacts): Promise<string | undefined>;
}

/** `in-process`: injected by the program itself, without a socket. `local`: the keep's own admin socket. */
export type ListenerKind = 'tcp' | 'local' | 'in-process';

/** A request as the house sees it. `resource` and `permission` are filled in once the route's guard is known. */
export interface Attempt {
  readonly requestId: string;
  readonly method: string;
  /** Route template, or `unmatched`; never the raw URL. */
  readonly route: string;
  /** What the entry is called: `user.create`, or `http.unmatched`, `http.malformed`. */
  readonly action: string;
  readonly listener: ListenerKind;
  readonly source: Source;
  /** The Authorization header. */
  readonly authorization?: Secret<string>;
  readonly resource?: string;
  readonly permission?: string;
  /** Monotonic time at the end of the headers, milliseconds: for the latency. */
  readonly startedAt: number;
}

export interface Source {
  readonly address: string;
  readonly port: number;
  /** The User-Agent header of a client of a TCP listener. It may hold anything. */
  readonly agent?: string;
}

export interface Outcome {
  readonly caller?: Caller;
  readonly decision: 'allow' | 'deny' | 'error';
  /** `allowed` or a problem code. */
  readonly reason: string;
  /** The HTTP status that is about to be sent. */
  readonly status: number;
  readonly facts: AuditFacts;
  /** What was thrown, for the operator; never for an entry. */
  readonly failure?: unknown;
  /** The id that `begin` gave, when the attempt was an effect that started. */
  readonly startId?: string;
}
