/** What the keep knows about rights: roles, groups, bindings. Times are milliseconds since 1970 UTC. */

export interface Role {
  /** How bindings and heirs refer to it: a built-in role's name, a custom role's `rol_…`. */
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly builtin: boolean;
  /** Permissions and patterns: `model.invoke`, `model.*`, `*.read`, `*`. */
  readonly permissions: readonly string[];
  /** Ids of the roles whose permissions it has as well. */
  readonly parents: readonly string[];
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface Group {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  /** `usr_…`, `sa_…`, and `grp_…` for a group inside this one. */
  readonly members: ReadonlySet<string>;
}

/** The only thing that gives a right, or takes one away. */
export interface Binding {
  readonly id: string;
  /** `usr_…`, `sa_…` or `grp_…`. */
  readonly subject: string;
  /** Id of a role. */
  readonly role: string;
  readonly scope: string;
  readonly effect: 'allow' | 'deny';
  /** In force from this moment on; null: always. */
  readonly notBefore: number | null;
  /** Not in force from this moment on; null: never ends. */
  readonly expiresAt: number | null;
  readonly reason: string;
  /** Id of the principal that made it. */
  readonly createdBy: string;
  readonly createdAt: number;
}

export interface Policy {
  /** Grows with every change. */
  readonly revision: number;
  /** Custom roles only; the built-in ones are code. */
  readonly roles: readonly Role[];
  readonly groups: readonly Group[];
  readonly bindings: readonly Binding[];
}

/** The smallest steps of a change. A service puts together what belongs together; a store applies all or none. */
export type PolicyChange =
  | { readonly kind: 'put_role'; readonly role: Role }
  | { readonly kind: 'delete_role'; readonly id: string }
  | { readonly kind: 'add_group'; readonly group: Omit<Group, 'members'> }
  | { readonly kind: 'delete_group'; readonly id: string }
  | { readonly kind: 'add_member'; readonly group: string; readonly member: string }
  | { readonly kind: 'remove_member'; readonly group: string; readonly member: string }
  | { readonly kind: 'add_binding'; readonly binding: Binding }
  | { readonly kind: 'delete_binding'; readonly id: string };

export function isStarted(binding: Pick<Binding, 'notBefore'>, now: number): boolean {
  return binding.notBefore === null || binding.notBefore <= now;
}

export function isExpired(binding: Pick<Binding, 'expiresAt'>, now: number): boolean {
  return binding.expiresAt !== null && binding.expiresAt <= now;
}
