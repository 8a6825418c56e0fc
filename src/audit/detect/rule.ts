import type { z } from 'zod';
import type { AlertKey, Response, Severity } from './alert.ts';
import type { DetectionContext } from './context.ts';
import type { DetectionEvent, Flag } from './event.ts';

/** What a rule found. */
export interface Match {
  readonly key: AlertKey;
  /** Where the same key may match for different reasons: said apart from each other by this. */
  readonly variant?: string;
  /** Asked only if an alert comes of it. */
  readonly evidence: () => readonly number[];
  readonly severity?: Severity;
  readonly principals?: () => readonly string[];
  readonly wholeAddress?: () => boolean;
  /** Whom a later success makes suspicious: keys of `context.suspects`. */
  readonly suspects?: readonly string[];
}

export type Raise = (match: Match) => void;

/** A rule as it is set. */
export interface RuleSettings<Params> {
  readonly enabled: boolean;
  readonly severity: Severity;
  readonly response: Response;
  readonly windowMs: number;
  /** How long the response lasts. */
  readonly holdMs: number;
  readonly params: Params;
}

/**
 * A rule is a fold over entries: its state is plain data (maps, sets, arrays, numbers), changed by nothing but `observe`,
 * and bounded. So a checkpoint can hold it, and the same entries give the same alerts anywhere.
 */
export interface RuleDefinition<Params, State> {
  readonly id: string;
  /** Grows when the same entries may give other alerts. */
  readonly version: number;
  readonly name: string;
  readonly title: string;
  /** The condition, with `{parameter}` and `{window}` where they stand in it. */
  readonly condition: string;
  /** What looks like it, and why that raises nothing. */
  readonly beside: string;
  readonly per: string;
  readonly attack: readonly string[];
  readonly atlas: readonly string[];
  readonly defaults: Omit<RuleSettings<unknown>, 'params' | 'enabled'>;
  readonly params: z.ZodType<Params>;
  readonly sigma: SigmaSpec<Params>;
  /** Entries with one of these reach `observe`. */
  readonly on: readonly Flag[];
  start(settings: RuleSettings<Params>): State;
  observe(own: { readonly state: State; readonly settings: RuleSettings<Params> }, at: Occasion): void;
}

/** What happened, for all rules. */
interface Occasion {
  readonly event: DetectionEvent;
  readonly context: DetectionContext;
  readonly raise: Raise;
}

/** The part of a rule that Sigma can say. */
export interface SigmaSpec<Params> {
  /** Fields of an entry, with Sigma's modifiers. */
  readonly selection: SigmaSelection;
  /** All of them together; none: the selection alone is the rule. */
  correlations(params: Params): readonly SigmaCorrelation[];
  /** What Sigma cannot say of it. */
  readonly without?: string;
}

type SigmaSelection = Readonly<Record<string, SigmaValue | readonly SigmaValue[]>>;
type SigmaValue = string | number | boolean;

export interface SigmaCorrelation {
  readonly type: 'event_count' | 'value_count' | 'temporal_ordered';
  readonly groupBy: readonly string[];
  /** For value_count: what is counted. */
  readonly field?: string;
  /** For temporal_ordered: what comes before, so many times in the same group. */
  readonly after?: { readonly selection: SigmaSelection; readonly gte: number };
  readonly gte?: number;
  /** Default: the window of the rule. */
  readonly timespanMs?: number;
}

/** A definition whose own types are of no concern to who runs it. */
export type AnyRule = RuleDefinition<unknown, unknown>;

export function defineRule<Params, State>(rule: RuleDefinition<Params, State>): AnyRule {
  return Object.freeze(rule) as AnyRule;
}
