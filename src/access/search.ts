import type { Caller, Principal } from '../kernel/principal.ts';
import { permissionNumber } from './catalogue.ts';
import { decide } from './decide.ts';
import { gives } from './holding.ts';
import { type Binding, isExpired, isStarted } from './policy.ts';
import { type PolicyIndex, principalsIn } from './policy-index.ts';
import { covers } from './scope.ts';

/** A principal that may, and the bindings through which it may. */
export interface Holder {
  readonly id: string;
  readonly kind: 'user' | 'service_account';
  readonly bindings: readonly string[];
}

/** Every user and service account that may do `permission` to `resource` now, by id. The state of accounts is not known here. */
export function whoCan(
  index: PolicyIndex,
  permission: string,
  resource: string,
  now: number,
): readonly Holder[] {
  const number = permissionNumber(permission);
  if (number === undefined) return [];
  const found = new Map<string, string[]>();
  const add = (principal: string, binding: Binding): void => {
    const bindings = found.get(principal);
    if (bindings === undefined) found.set(principal, [binding.id]);
    else bindings.push(binding.id);
  };
  for (const binding of index.bindings.values()) {
    if (binding.effect === 'deny' || !gives(index, binding, number) || !covers(binding.scope, resource))
      continue;
    if (isExpired(binding, now) || !isStarted(binding, now)) continue;
    if (!index.groups.has(binding.subject)) add(binding.subject, binding);
    else for (const principal of principalsIn(index, binding.subject)) add(principal, binding);
  }
  const holders: Holder[] = [];
  for (const [id, bindings] of found) {
    const principal = { kind: kindOf(id), id };
    if (!decide(index, { principal, credential: {}, permission, resource, now }).allow) continue;
    holders.push({ ...principal, bindings });
  }
  return holders.toSorted((a, b) => (a.id < b.id ? -1 : 1));
}

/** The resources that the caller may do `permission` to, in the order given. */
export function filterResources(
  index: PolicyIndex,
  { principal, credential }: Caller,
  permission: string,
  resources: readonly string[],
  now: number,
): readonly string[] {
  return resources.filter(
    (resource) => decide(index, { principal, credential, permission, resource, now }).allow,
  );
}

function kindOf(id: string): Exclude<Principal['kind'], 'local'> {
  return id.startsWith('sa_') ? 'service_account' : 'user';
}
