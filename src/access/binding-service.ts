import type { Clock } from '../kernel/clock.ts';
import { newId } from '../kernel/id.ts';
import type { Caller } from '../kernel/principal.ts';
import { type Permission, permissionSet } from './catalogue.ts';
import { assertAnchorRemains, assertMayHandOver, handoversOf, isAnchor } from './escalation.ts';
import { lacking } from './holding.ts';
import { bindingsAt } from './layout.ts';
import type { Binding } from './policy.ts';
import type { PolicyIndex } from './policy-index.ts';
import type { PolicyEditor } from './policy-editor.ts';
import { accessProblems } from './problems.ts';
import { findRole } from './role-service.ts';
import { ADMIN } from './roles.ts';
import { parseScope } from './scope.ts';

export interface BindingDraft {
  /** Id of a user, service account or group that exists. */
  readonly subject: string;
  /** Name or id. */
  readonly role: string;
  readonly scope: string;
  readonly effect: Binding['effect'];
  /** Milliseconds since 1970 UTC. */
  readonly notBefore: number | null;
  readonly expiresAt: number | null;
  readonly reason: string;
}

interface BindingFilter {
  /** Id of a subject; its groups' bindings are not its own. */
  readonly subject?: string | undefined;
  /** Name or id. */
  readonly role?: string | undefined;
  readonly scope?: string | undefined;
}

export interface BindingService {
  /** In the order in which they were made. */
  list(filter?: BindingFilter): readonly Binding[];
  find(id: string): Binding | undefined;
  create(author: Caller, draft: BindingDraft): Promise<Binding>;
  delete(author: Caller, id: string): Promise<Binding>;
  /** Binds admin at `/` if nobody has it yet; else throws `access.admin_exists`. For setting up a keep. */
  grantFirstAdmin(user: string): Promise<Binding>;
}

const REASON_LENGTH_MAX = 500;

export function createBindingService({
  editor,
  clock,
}: {
  editor: PolicyEditor;
  clock: Clock;
}): BindingService {
  const stamp = (createdBy: string) => ({ id: newId('bnd', clock), createdBy, createdAt: clock.now() });
  return {
    list(filter = {}) {
      const index = editor.index();
      const role = filter.role === undefined ? undefined : findRole(index, filter.role).id;
      const some =
        filter.subject === undefined
          ? [...index.bindings.values()]
          : bindingsAt(index.layout, filter.subject);
      return some
        .filter((binding) => role === undefined || binding.role === role)
        .filter((binding) => filter.scope === undefined || binding.scope === filter.scope)
        .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    },
    find: (id) => editor.index().bindings.get(id),
    create: (author, draft) =>
      editor.change((index) => {
        const now = clock.now();
        const binding = { ...bindingOf(index, draft, now), ...stamp(author.principal.id) };
        assertHolds(index, author, 'binding.create', binding.scope, now);
        const gains = handoversOf(index, [binding], 'allow', [binding.subject], now);
        assertMayHandOver(index, author, gains, 'role.bind', now);
        return { changes: [{ kind: 'add_binding', binding }], result: binding };
      }),
    delete: (author, id) =>
      editor.change((index) => {
        const now = clock.now();
        const binding = index.bindings.get(id);
        if (binding === undefined) throw accessProblems.not_found('there is no binding of this id');
        assertHolds(index, author, 'binding.delete', binding.scope, now);
        assertAnchorRemains(index, [binding]);
        const reliefs = handoversOf(index, [binding], 'deny', [binding.subject], now);
        assertMayHandOver(index, author, reliefs, 'role.bind', now);
        return { changes: [{ kind: 'delete_binding', id }], result: binding };
      }),
    grantFirstAdmin: (subject) =>
      editor.change((index) => {
        for (const other of index.bindings.values()) {
          if (isAnchor(index, other)) throw accessProblems.admin_exists('this keep has an admin');
        }
        const always = { notBefore: null, expiresAt: null, reason: 'the first admin of the keep' };
        const draft = { subject, role: ADMIN, scope: '/', effect: 'allow', ...always } as const;
        const binding: Binding = { ...draft, ...stamp(subject) };
        return { changes: [{ kind: 'add_binding', binding }], result: binding };
      }),
  };
}

/** Throws `access.denied` unless the caller holds the permission on every node of the scope, as things stand. */
function assertHolds(
  index: PolicyIndex,
  caller: Caller,
  permission: Permission,
  scope: string,
  now: number,
): void {
  // Until now and no longer: a right that ends tomorrow suffices for what is done today.
  const wanted = { permissions: permissionSet([permission]), scope, until: now };
  if (lacking(index, caller, wanted, now).length === 0) return;
  throw accessProblems.denied(`${permission}@${scope} is missing`, { members: { permission, scope } });
}

function bindingOf(index: PolicyIndex, draft: BindingDraft, now: number): BindingDraft {
  const role = findRole(index, draft.role).id;
  if (parseScope(draft.scope) === undefined) {
    throw accessProblems.invalid(
      'scope: it is / or a node such as /projects/fraud, with * for a whole segment at most',
    );
  }
  const { notBefore, expiresAt } = draft;
  if (expiresAt !== null && expiresAt <= Math.max(now, notBefore ?? now)) {
    throw accessProblems.invalid('expiresAt: it must lie in the future, and after notBefore');
  }
  if (draft.reason.length > REASON_LENGTH_MAX) {
    throw accessProblems.invalid(`reason is longer than ${REASON_LENGTH_MAX} characters`);
  }
  for (const other of bindingsAt(index.layout, draft.subject)) {
    const same = other.role === role && other.scope === draft.scope && other.effect === draft.effect;
    if (same && other.notBefore === notBefore && other.expiresAt === expiresAt) {
      throw accessProblems.binding_exists(`binding ${other.id} says the same`);
    }
  }
  return { ...draft, role };
}
