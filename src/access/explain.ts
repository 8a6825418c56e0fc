import { permissionNumber } from './catalogue.ts';
import { type Decision, type DecisionRequest, decide, reaches } from './decide.ts';
import { bindingsOf, gives } from './holding.ts';
import { type Binding, isExpired, isStarted } from './policy.ts';
import type { PolicyIndex } from './policy-index.ts';
import { covers, overlaps } from './scope.ts';
import { whoCan } from './search.ts';

export interface Explanation {
  readonly decision: Decision;
  /** `permission@scope` that was asked for. */
  readonly asked: string;
  /** Every binding in force that speaks for or against; where there is a denial, it wins. */
  readonly matched: readonly MatchedBinding[];
  /** What would nearly have decided otherwise. */
  readonly nearMisses: readonly NearMiss[];
}

export interface MatchedBinding {
  readonly binding: string;
  readonly effect: Binding['effect'];
  readonly role: string;
  readonly scope: string;
  /** The subject that holds it: the principal itself, or a group that it is in. */
  readonly via: string;
}

export type NearMiss =
  /** The right role, elsewhere. */
  | ({ readonly kind: 'other_scope' } & MatchedBinding)
  | ({ readonly kind: 'expired'; readonly expiredAt: number } & MatchedBinding)
  | ({ readonly kind: 'not_yet'; readonly startsAt: number } & MatchedBinding)
  /** The owner may; the API key's scopes do not reach that far. */
  | { readonly kind: 'credential_scope' };

const NEAR_MISSES_MAX = 20;

/** Why a decision came out as it did. Costs a walk over all bindings of the principal. */
export function explain(index: PolicyIndex, request: DecisionRequest): Explanation {
  const { principal, credential, permission, resource, now } = request;
  const decision = decide(index, request);
  const asked = `${permission}@${resource}`;
  const number = permissionNumber(permission);
  if (number === undefined || decision.code === 'local_owner' || decision.code === 'unknown_resource') {
    return { decision, asked, matched: [], nearMisses: [] };
  }
  const matched: MatchedBinding[] = [];
  const nearMisses: NearMiss[] = [];
  if (credential.scopes !== undefined && !reaches(credential.scopes, number, resource)) {
    const owner = decide(index, { ...request, credential: {} });
    if (owner.allow) nearMisses.push({ kind: 'credential_scope' });
  }
  const elsewhere: NearMiss[] = [];
  for (const binding of bindingsOf(index, principal.id)) {
    if (!gives(index, binding, number)) continue;
    const { id, effect, role, scope, subject } = binding;
    const found = { binding: id, effect, role, scope, via: subject };
    if (!covers(scope, resource)) {
      if (effect === 'allow') elsewhere.push({ kind: 'other_scope', ...found });
    } else if (binding.expiresAt !== null && isExpired(binding, now)) {
      if (effect === 'allow') nearMisses.push({ kind: 'expired', expiredAt: binding.expiresAt, ...found });
    } else if (binding.notBefore !== null && !isStarted(binding, now)) {
      if (effect === 'allow') nearMisses.push({ kind: 'not_yet', startsAt: binding.notBefore, ...found });
    } else {
      matched.push(found);
    }
  }
  // A binding inside the resource asked about, or on a neighbour, is worth naming only where access was refused.
  if (!decision.allow) {
    elsewhere.sort((a, b) => closeness(b, resource) - closeness(a, resource));
    nearMisses.push(...elsewhere);
  }
  return { decision, asked, matched, nearMisses: nearMisses.slice(0, NEAR_MISSES_MAX) };
}

/**
 * Ids of those who can give the permission at the resource today: they may make bindings there, and hold the permission
 * themselves or hold `role.bind`.
 */
export function grantors(
  index: PolicyIndex,
  permission: string,
  resource: string,
  now: number,
): readonly string[] {
  const may = (wanted: string): ReadonlySet<string> => {
    return new Set(whoCan(index, wanted, resource, now).map((holder) => holder.id));
  };
  return [...may('binding.create').intersection(may(permission).union(may('role.bind')))];
}

/** How many leading characters agree: a wrong version of the right model comes before another project. */
function closeness(miss: NearMiss, resource: string): number {
  if (miss.kind === 'credential_scope') return 0;
  if (overlaps(miss.scope, resource)) return resource.length;
  let same = 0;
  while (same < resource.length && miss.scope[same] === resource[same]) same++;
  return same;
}
