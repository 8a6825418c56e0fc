import type { Caller } from '../kernel/principal.ts';
import { permissionSet } from './catalogue.ts';
import { bindingsOf, type Holding, holdingOf, lacking } from './holding.ts';
import { type Binding, isExpired } from './policy.ts';
import { groupsOf, type PolicyIndex } from './policy-index.ts';
import { accessProblems } from './problems.ts';
import { ADMIN } from './roles.ts';

/** A right that a change hands on: by a new binding, a membership, a role's new permission, or a denial that goes. */
export interface Handover extends Holding {
  /** Ids of the users, service accounts and groups that would have more. */
  readonly receivers: readonly string[];
}

/** What lets its holder hand on more than it holds: `role.bind` for bindings and memberships, `role.escalate` for roles. */
type Bypass = 'role.bind' | 'role.escalate';

/**
 * Throws `access.escalation` if the author does not hold what the change hands on, and holds no bypass there either;
 * `access.self_grant` if the author would be among the receivers, whatever else it holds.
 */
export function assertMayHandOver(
  index: PolicyIndex,
  author: Caller,
  handovers: readonly Handover[],
  bypass: Bypass,
  now: number,
): void {
  const self = author.principal.id;
  const mine = new Set([self, ...groupsOf(index, self)]);
  for (const handover of handovers) {
    const [missing] = lacking(index, author, handover, now);
    if (missing === undefined) continue;
    const members = { permission: missing, scope: handover.scope };
    if (handover.receivers.some((receiver) => mine.has(receiver))) {
      throw accessProblems.self_grant(`the change would give its author ${missing}@${handover.scope}`, {
        members,
      });
    }
    const key = { permissions: permissionSet([bypass]), scope: handover.scope, until: null };
    if (lacking(index, author, key, now).length === 0) continue;
    throw accessProblems.escalation(
      `the change hands on ${missing}@${handover.scope}, which its author does not hold there; ${bypass} would allow it`,
      { members },
    );
  }
}

/** What `receivers` gain by coming under the bindings of `subject` and of the groups it is in. */
export function gainsOf(
  index: PolicyIndex,
  subject: string,
  receivers: readonly string[],
  now: number,
): readonly Handover[] {
  return handoversOf(index, bindingsOf(index, subject), 'allow', receivers, now);
}

/** What `receivers` gain when they are no longer under the denials of `subject` and of the groups it is in. */
export function reliefsOf(
  index: PolicyIndex,
  subject: string,
  receivers: readonly string[],
  now: number,
): readonly Handover[] {
  return handoversOf(index, bindingsOf(index, subject), 'deny', receivers, now);
}

/** What `receivers` gain by the bindings of one effect; those that have expired give and deny nothing. */
export function handoversOf(
  index: PolicyIndex,
  bindings: readonly Binding[],
  effect: Binding['effect'],
  receivers: readonly string[],
  now: number,
): readonly Handover[] {
  return bindings
    .filter((binding) => binding.effect === effect && !isExpired(binding, now))
    .map((binding) => ({ ...holdingOf(index, binding), receivers }));
}

/** A lasting binding of admin at `/` to one user or service account: while there is one, the keep can be governed. */
export function isAnchor(index: PolicyIndex, binding: Binding): boolean {
  const { effect, role, scope, expiresAt, notBefore, subject } = binding;
  const lasting = expiresAt === null && notBefore === null;
  return effect === 'allow' && role === ADMIN && scope === '/' && lasting && !index.groups.has(subject);
}

/** Throws `access.last_admin` if the last anchor is among the bindings that would go. */
export function assertAnchorRemains(index: PolicyIndex, going: readonly Binding[]): void {
  const lost = new Set(going.filter((binding) => isAnchor(index, binding)).map((binding) => binding.id));
  if (lost.size === 0) return;
  for (const binding of index.bindings.values()) {
    if (isAnchor(index, binding) && !lost.has(binding.id)) return;
  }
  throw accessProblems.last_admin(
    'no user or service account would be left with a lasting binding of admin at /',
  );
}
