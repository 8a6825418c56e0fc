import type { Credential, Grant, Principal } from '../kernel/principal.ts';
import { includes, PERMISSION_WORDS, permissionNumber, permissionsMatching } from './catalogue.ts';
import { type Binding, isExpired, isStarted } from './policy.ts';
import { chainOf, DENY, DEPTH_SHIFT, ROLE_MASK, TIMED, WILD } from './layout.ts';
import { groupsOf, type PolicyIndex } from './policy-index.ts';
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

  const { layout, rightsTable } = index;
  const { blocks, words, ordered, ids } = layout;
  const word = number >>> 5;
  const bit = 1 << (number & 31);
  const chain = chainOf(layout, resource);
  const groups = groupsOf(index, principal.id);
  let allowed: string | undefined;
  let untimely: DecisionCode | undefined;
  for (let member = -1; member < groups.length; member++) {
    const block = blocks.get(member === -1 ? principal.id : (groups[member] as string));
    if (block === undefined) continue;
    const count = words[block] as number;
    const end = block + 1 + count;
    for (let at = block + 1; at < end; at++) {
      const node = words[at] as number;
      if (chain[node >>> DEPTH_SHIFT] !== node && node !== WILD) continue;
      const role = words[at + count] as number;
      if (((rightsTable[(role & ROLE_MASK) * PERMISSION_WORDS + word] as number) & bit) === 0) continue;
      const ordinal = words[at + 2 * count] as number;
      if (node === WILD && !covers((ordered[ordinal] as Binding).scope, resource)) continue;
      if ((role & TIMED) !== 0) {
        const binding = ordered[ordinal] as Binding;
        const late = isExpired(binding, now);
        if (late || !isStarted(binding, now)) {
          if ((role & DENY) === 0 && untimely !== 'expired_binding') {
            untimely = late ? 'expired_binding' : 'pending_binding';
          }
          continue;
        }
      }
      if ((role & DENY) !== 0) return verdict(index, 'explicit_deny', ids[ordinal]);
      allowed ??= ids[ordinal];
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

function verdict(index: PolicyIndex, code: DecisionCode, binding?: string): Decision {
  return {
    allow: code === 'allowed' || code === 'local_owner',
    code,
    revision: index.revision,
    matched: binding === undefined ? NOTHING : [binding],
  };
}
