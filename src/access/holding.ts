import type { Caller } from '../kernel/principal.ts';
import {
  difference,
  includes,
  type Permission,
  type PermissionSet,
  permissionsIn,
  union,
} from './catalogue.ts';
import { reaches } from './decide.ts';
import { type Binding, isExpired, isStarted } from './policy.ts';
import { bindingsAt } from './layout.ts';
import { groupsOf, type PolicyIndex } from './policy-index.ts';
import { covers, overlaps } from './scope.ts';

/** Permissions on a whole scope for a length of time: what a binding hands on. */
export interface Holding {
  readonly permissions: PermissionSet;
  readonly scope: string;
  /** Milliseconds since 1970 UTC; null: without end. */
  readonly until: number | null;
}

/**
 * What the caller lacks of a holding: each permission that it does not hold on every node of the scope, from now to the
 * end. It errs on the side of lacking: two bindings that cover the scope only together do not count, and a denial
 * anywhere inside the scope, or later within the time, does.
 */
export function lacking(
  index: PolicyIndex,
  caller: Caller,
  wanted: Holding,
  now: number,
): readonly Permission[] {
  const { principal, credential } = caller;
  if (principal.kind === 'local') return [];
  const own = bindingsOf(index, principal.id);
  const allows = own.filter((binding) => binding.effect === 'allow' && lasts(binding, wanted, now));
  const denies = own.filter((binding) => binding.effect === 'deny' && touches(binding, wanted, now));
  const held = difference(rightsOf(index, allows), rightsOf(index, denies));
  const missing = difference(wanted.permissions, held);
  const { scopes } = credential;
  if (scopes === undefined) return permissionsIn(missing);
  const beyondKey = wanted.permissions.map((word, at) => {
    let out = word;
    for (let bit = 0; bit < 32; bit++) {
      if (reaches(scopes, at * 32 + bit, wanted.scope)) out &= ~(1 << bit);
    }
    return out;
  });
  return permissionsIn(union([missing, beyondKey]));
}

/** Every allowance of a subject, its groups' included, that is or will be in force: what it may ever do as things stand. */
export function holdingsOf(index: PolicyIndex, subject: string, now: number): readonly Holding[] {
  return bindingsOf(index, subject)
    .filter((binding) => binding.effect === 'allow' && !isExpired(binding, now))
    .map((binding) => holdingOf(index, binding));
}

export function holdingOf(
  index: PolicyIndex,
  binding: Pick<Binding, 'role' | 'scope' | 'expiresAt'>,
): Holding {
  return { permissions: rightsOf(index, [binding]), scope: binding.scope, until: binding.expiresAt };
}

/** The bindings of a subject and of the groups it is in. */
export function bindingsOf(index: PolicyIndex, subject: string): readonly Binding[] {
  return [subject, ...groupsOf(index, subject)].flatMap((id) => bindingsAt(index.layout, id));
}

/** Claims that the subject holds the permission through `binding` if its role does. */
export function gives(index: PolicyIndex, binding: Pick<Binding, 'role'>, permission: number): boolean {
  const set = index.rights.get(binding.role);
  return set !== undefined && includes(set, permission);
}

function rightsOf(index: PolicyIndex, bindings: readonly Pick<Binding, 'role'>[]): PermissionSet {
  return union(bindings.flatMap((binding) => index.rights.get(binding.role) ?? []));
}

function lasts(binding: Binding, wanted: Holding, now: number): boolean {
  const outlived = binding.expiresAt !== null && (wanted.until === null || binding.expiresAt < wanted.until);
  return (
    isStarted(binding, now) && !isExpired(binding, now) && !outlived && covers(binding.scope, wanted.scope)
  );
}

function touches(binding: Binding, wanted: Holding, now: number): boolean {
  const { notBefore } = binding;
  const afterwards =
    notBefore !== null && notBefore > now && wanted.until !== null && notBefore >= wanted.until;
  return !isExpired(binding, now) && !afterwards && overlaps(binding.scope, wanted.scope);
}
