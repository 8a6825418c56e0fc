import type { Credential, Grant, Principal } from '../kernel/principal.ts';
import { includes, PERMISSION_WORDS, permissionNumber, permissionsMatching } from './catalogue.ts';
import { type Binding, isExpired, isStarted } from './policy.ts';
import {
  DENY,
  groupsOf,
  NODE_MASK,
  DEPTH_SHIFT,
  type PolicyIndex,
  ROLE_MASK,
  TIMED,
} from './policy-index.ts';
import { covers, isPath, parseScope } from './scope.ts';

export interface DecisionRequest {
  readonly principal: Pick<Principal, 'kind' | 'id'>;
  readonly credential: Pick<Credential, 'scopes'>;
  readonly permission: string;
  /** A path of the resource tree. */
  readonly resource: string;
  /** Milliseconds since 1970 UTC. */
  readonly now: number;
  /** Where the state of the principal is known here: a disabled one may do nothing. */
  readonly disabled?: boolean;
}

export interface Decision {
  readonly allow: boolean;
  readonly code: DecisionCode;
  /** Of the policy that decided. */
  readonly revision: number;
  /** Id of the binding that decided; empty where none did. `explain` finds all that match. */
  readonly matched: readonly string[];
}

export type DecisionCode =
  | 'allowed'
  /** The caller is on the keep's own host, where whoever reads the root key owns the keep. */
  | 'local_owner'
  | 'no_matching_binding'
  | 'explicit_deny'
  /** The API key's own scopes do not reach that far. */
  | 'credential_scope'
  /** A binding would allow it, had it not expired. */
  | 'expired_binding'
  /** A binding will allow it, later. */
  | 'pending_binding'
  | 'subject_disabled'
  | 'unknown_permission'
  /** The resource is not a path of the resource tree. */
  | 'unknown_resource';

/**
 * Whether a principal may do something to a resource, now. Any matching denial denies, else any matching allowance
 * allows, else the answer is no. Pure, synchronous, and never throws. Group membership is the policy's own: what the
 * principal says about its groups is not read.
 */
export function decide(index: PolicyIndex, request: DecisionRequest): Decision {
  const { principal, credential, permission, resource, now } = request;
  const number = permissionNumber(permission);
  if (number === undefined) return verdict(index, 'unknown_permission');
  if (principal.kind === 'local') return verdict(index, 'local_owner');
  if (!isPath(resource)) return verdict(index, 'unknown_resource');
  if (request.disabled === true) return verdict(index, 'subject_disabled');
  if (credential.scopes !== undefined && !reaches(credential.scopes, number, resource)) {
    return verdict(index, 'credential_scope');
  }

  const { slices, rightsTable } = index;
  const word = number >>> 5;
  const bit = 1 << (number & 31);
  const chain = chainOf(index, resource);
  const groups = groupsOf(index, principal.id);
  let allowed: Binding | undefined;
  let untimely: DecisionCode | undefined;
  for (let at = -1; at < groups.length; at++) {
    const slice = slices.get(at === -1 ? principal.id : (groups[at] as string));
    if (slice === undefined) continue;
    const { words, exact, bindings, wild } = slice;
    for (let k = 0; k < bindings.length; k++) {
      let flags: number;
      if (k < exact) {
        const node = words[k] as number;
        if (chain[node >>> DEPTH_SHIFT] !== node) continue;
        flags = words[exact + k] as number;
      } else {
        flags = wild[k - exact] as number;
      }
      if (((rightsTable[(flags & ROLE_MASK) * PERMISSION_WORDS + word] as number) & bit) === 0) continue;
      const binding = bindings[k] as Binding;
      if (k >= exact && !covers(binding.scope, resource)) continue;
      if ((flags & TIMED) !== 0) {
        const late = isExpired(binding, now);
        if (late || !isStarted(binding, now)) {
          if ((flags & DENY) === 0 && untimely !== 'expired_binding') {
            untimely = late ? 'expired_binding' : 'pending_binding';
          }
          continue;
        }
      }
      if ((flags & DENY) !== 0) return verdict(index, 'explicit_deny', binding);
      allowed ??= binding;
    }
  }
  if (allowed !== undefined) return verdict(index, 'allowed', allowed);
  return verdict(index, untimely ?? 'no_matching_binding');
}

/** Claims that one of a key's scopes gives the permission at the resource. An empty list gives nothing. */
export function reaches(scopes: readonly Grant[], permission: number, resource: string): boolean {
  return scopes.some((grant) => {
    const set = permissionsMatching(grant.permission);
    if (set === undefined || !includes(set, permission)) return false;
    return parseScope(grant.scope) !== undefined && covers(grant.scope, resource);
  });
}

const NOTHING: readonly string[] = [];

function verdict(index: PolicyIndex, code: DecisionCode, binding?: Binding): Decision {
  return {
    allow: code === 'allowed' || code === 'local_owner',
    code,
    revision: index.revision,
    matched: binding === undefined ? NOTHING : [binding.id],
  };
}

/** By depth: the known node on the way from the root to the resource, so that a binding covers it if its node is here. */
function chainOf({ nodes, parents }: PolicyIndex, resource: string): readonly number[] {
  const chain = [0, -1, -1, -1, -1, -1, -1, -1];
  for (let end = resource.length; end > 0; end = resource.lastIndexOf('/', end - 1)) {
    const deepest = nodes.get(end === resource.length ? resource : resource.slice(0, end));
    if (deepest === undefined) continue;
    for (let node = deepest; node !== 0; node = parents[node & NODE_MASK] as number) {
      chain[node >>> DEPTH_SHIFT] = node;
    }
    break;
  }
  return chain;
}
