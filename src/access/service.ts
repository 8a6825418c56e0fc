import type { Clock } from '../kernel/clock.ts';
import type { Caller } from '../kernel/principal.ts';
import { type BindingService, createBindingService } from './binding-service.ts';
import { permissionNumber, permissionSet, isPermission } from './catalogue.ts';
import { type Decision, type DecisionCode, decide } from './decide.ts';
import { Denial } from './denial.ts';
import { assertAnchorRemains } from './escalation.ts';
import { type Explanation, explain, grantors } from './explain.ts';
import { createGroupService, findGroup, type GroupService, withdrawal } from './group-service.ts';
import { holdingsOf, lacking } from './holding.ts';
import { bindingsAt } from './layout.ts';
import { createPolicyEditor } from './policy-editor.ts';
import { groupsOf } from './policy-index.ts';
import { accessProblems } from './problems.ts';
import { createRoleService, type RoleService } from './role-service.ts';
import { filterResources, type Holder, whoCan } from './search.ts';
import { hasWildcard, parseScope } from './scope.ts';
import type { AccessStore } from './store.ts';

/** A subject as other rooms know it. */
export interface Subject {
  readonly id: string;
  readonly kind: 'user' | 'service_account' | 'group';
  readonly name: string;
  /** Absent: active. */
  readonly state?: 'active' | 'disabled';
}

/**
 * Finds a user or a service account by `user:NAME`, `service-account:NAME` or its id; undefined if there is none.
 * Groups are not its concern.
 */
export type ResolveSubject = (reference: string) => Promise<Subject | undefined>;

/** Who may do what, and how that changes. Decisions are synchronous and follow a change at once. */
export interface AccessControl {
  /** Never throws. */
  decide(caller: Caller, permission: string, resource: string): Decision;
  /** Throws `access.denied`, which names the missing permission and scope, unless the decision is to allow. */
  require(caller: Caller, permission: string, resource: string): void;
  /** Claims that the caller may do `permission` to `path`. */
  visible(caller: Caller, permission: string, path: string): boolean;
  /** Those of `resources` that the caller may do `permission` to. */
  filter(caller: Caller, permission: string, resources: readonly string[]): readonly string[];
  /** Like `decide`; a scope with `*` is allowed if every node that it stands for is. */
  canI(caller: Caller, permission: string, scope: string): Pick<Decision, 'allow' | 'code' | 'revision'>;
  /** Why the caller, or the subject (then as if without a credential's limits), may or may not. */
  explain(caller: Caller, asked: Asked & { readonly subject?: Subject | undefined }): Explanation;
  /** Users and service accounts that may; accounts' own states are not considered. */
  whoCan(asked: Asked): readonly Holder[];
  /** Ids of users and service accounts who can give the permission there. */
  grantors(asked: Asked): readonly string[];
  /** Ids of the groups of a principal, nested ones included. */
  groupsOf(principalId: string): readonly string[];
  /** Claims that the caller holds everything that the subject holds: what whoever sets its password or makes a key for it must. */
  outranks(caller: Caller, subjectId: string): boolean;
  /** By `user:NAME`, `service-account:NAME`, `group:NAME` or id. Throws `access.not_found`. */
  subject(reference: string): Promise<Subject>;
  readonly roles: RoleService;
  readonly groups: GroupService;
  readonly bindings: BindingService;
  /** Binds admin at `/` if nobody has it yet; else throws `access.admin_exists`. For setting up a keep. */
  grantFirstAdmin(userId: string): Promise<void>;
  /** Throws `access.last_admin` if the keep could not be governed without this principal. */
  assertRemovable(principalId: string): void;
  /** Forgets a principal that is being deleted: memberships and bindings. Throws `access.last_admin` for the last admin. */
  removeSubject(principalId: string): Promise<void>;
  /** Reads what another replica has changed. */
  reload(): Promise<void>;
}

export interface Asked {
  readonly permission: string;
  /** A path of the resource tree. */
  readonly scope: string;
}

export interface AccessDependencies {
  readonly store: AccessStore;
  readonly clock: Clock;
  readonly resolveSubject: ResolveSubject;
}

/** Loads the policy. Throws `access.policy_corrupt` if it is damaged. */
export async function createAccessControl({
  store,
  clock,
  resolveSubject,
}: AccessDependencies): Promise<AccessControl> {
  const editor = await createPolicyEditor(store);
  const bindings = createBindingService({ editor, clock });
  const decideFor = ({ principal, credential }: Caller, permission: string, resource: string): Decision =>
    decide(editor.index(), { principal, credential, permission, resource, now: clock.now() });

  function deny(permission: string, scope: string, code: DecisionCode): never {
    const shown =
      parseScope(scope) === undefined || !isPermission(permission)
        ? 'the permission asked for'
        : `${permission}@${scope}`;
    const members = { permission, scope };
    throw accessProblems.denied(`${shown} is missing`, { members, cause: new Denial(code) });
  }

  async function subject(reference: string): Promise<Subject> {
    const name = /^group:(.*)$/s.exec(reference)?.[1];
    if (name !== undefined || editor.index().groups.has(reference)) {
      const group = findGroup(editor.index(), name ?? reference);
      return { id: group.id, kind: 'group', name: group.name };
    }
    const found = await resolveSubject(reference);
    if (found === undefined)
      throw accessProblems.not_found('there is no such user, service account or group');
    return found;
  }

  function assertRemovable(principalId: string): void {
    const index = editor.index();
    assertAnchorRemains(index, bindingsAt(index.layout, principalId));
  }

  return {
    decide: decideFor,
    require(caller, permission, resource) {
      const { allow, code } = decideFor(caller, permission, resource);
      if (!allow) deny(permission, resource, code);
    },
    visible: (caller, permission, path) => decideFor(caller, permission, path).allow,
    filter: (caller, permission, resources) =>
      filterResources(editor.index(), caller, permission, resources, clock.now()),
    canI(caller, permission, scope) {
      if (!hasWildcard(scope) || parseScope(scope) === undefined) return decideFor(caller, permission, scope);
      const index = editor.index();
      const { revision } = index;
      if (!isPermission(permission)) return { allow: false, code: 'unknown_permission', revision };
      const now = clock.now();
      const missing = lacking(
        index,
        caller,
        { permissions: permissionSet([permission]), scope, until: now },
        now,
      );
      const allow = missing.length === 0;
      return { allow, code: allow ? 'allowed' : 'no_matching_binding', revision };
    },
    explain(caller, { subject, permission, scope: resource }) {
      const now = clock.now();
      if (subject === undefined) {
        const { principal, credential } = caller;
        return explain(editor.index(), { principal, credential, permission, resource, now });
      }
      const principal = {
        kind: subject.kind === 'service_account' ? subject.kind : 'user',
        id: subject.id,
      } as const;
      const disabled = subject.state === 'disabled';
      return explain(editor.index(), { principal, credential: {}, permission, resource, now, disabled });
    },
    whoCan: ({ permission, scope }) => whoCan(editor.index(), permission, scope, clock.now()),
    grantors: ({ permission, scope }) =>
      permissionNumber(permission) === undefined
        ? []
        : grantors(editor.index(), permission, scope, clock.now()),
    groupsOf: (principalId) => groupsOf(editor.index(), principalId),
    outranks(caller, subjectId) {
      const index = editor.index();
      const now = clock.now();
      return holdingsOf(index, subjectId, now).every(
        (held) => lacking(index, caller, held, now).length === 0,
      );
    },
    subject,
    roles: createRoleService({ editor, clock }),
    groups: createGroupService({ editor, clock }),
    bindings,
    async grantFirstAdmin(userId) {
      await bindings.grantFirstAdmin(userId);
    },
    assertRemovable,
    removeSubject: (principalId) =>
      editor.change((index) => {
        assertRemovable(principalId);
        return { changes: withdrawal(index, principalId), result: undefined };
      }),
    reload: () => editor.reload(),
  };
}
