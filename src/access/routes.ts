import { z } from 'zod';
import { type AuditFacts, type Call, type Route, root } from '../http/route.ts';
import type { Caller } from '../kernel/principal.ts';
import type { Permission } from './catalogue.ts';
import { createAccessViews, describeCode } from './views.ts';
import { accessProblems as problems } from './problems.ts';
import * as shapes from './route-shapes.ts';
import { hasWildcard } from './scope.ts';
import type { AccessControl } from './service.ts';

type AccessRoutes = readonly Route<Permission>[];

export function createAccessRoutes(access: AccessControl): AccessRoutes {
  return [...groupRoutes(access), ...roleRoutes(access), ...bindingRoutes(access), ...questionRoutes(access)];
}

// Groups and roles can be named by name or id in a request; a binding's scope knows them by id only. So the guard asks
// about the collection, and the handler again about the one that it found: a denial on /groups/grp_… holds either way.
const groups = (): string => '/groups';
const roles = (): string => '/roles';
const byBody = 'the scope that counts is in the body; the handler asks for it';

function groupRoutes(access: AccessControl): AccessRoutes {
  const views = createAccessViews(access);
  const all = { path: '/api/v1/groups', tag: 'groups' };
  const one = {
    path: '/api/v1/groups/{group}',
    tag: 'groups',
    request: { params: z.object({ group: shapes.reference }) },
  };
  return [
    {
      ...all,
      method: 'GET',
      guard: { permission: 'group.read', scope: groups },
      audit: 'group.list',
      summary: 'List groups',
      response: z.object({ groups: z.array(shapes.group) }),
      handle: () => ({ body: { groups: access.groups.list().map(views.group) } }),
    },
    {
      ...all,
      method: 'POST',
      guard: { permission: 'group.manage', scope: groups },
      audit: 'group.create',
      summary: 'Make an empty group',
      status: 201,
      request: { body: shapes.groupDraft },
      response: shapes.group,
      problems: [problems.name_taken, problems.invalid],
      async handle(call) {
        const { name } = call.body as z.infer<typeof shapes.groupDraft>;
        const group = await access.groups.create(name);
        call.note({ resource: `/groups/${group.id}`, detail: { name } });
        return { body: views.group(group) };
      },
    },
    {
      ...one,
      method: 'GET',
      guard: { permission: 'group.read', scope: groups },
      audit: 'group.read',
      summary: 'Show a group and its members',
      response: shapes.groupWithMembers,
      problems: [problems.not_found],
      async handle(call) {
        const group = access.groups.get(param(call, 'group'));
        noteAndRequire(call, 'group.read', `/groups/${group.id}`, { name: group.name });
        return { body: await views.groupWithMembers(group) };
      },
    },
    {
      ...one,
      method: 'DELETE',
      guard: { permission: 'group.manage', scope: groups },
      audit: 'group.delete',
      summary: 'Delete a group, its bindings and its memberships',
      status: 204,
      problems: [problems.not_found, problems.escalation, problems.self_grant],
      async handle(call) {
        const { id, name } = access.groups.get(param(call, 'group'));
        noteAndRequire(call, 'group.manage', `/groups/${id}`, { name });
        await access.groups.delete(call.caller, id);
        return {};
      },
    },
    ...(['PUT', 'DELETE'] as const).map(
      (method): Route<Permission> => ({
        method,
        path: '/api/v1/groups/{group}/members/{member}',
        guard: { permission: 'group.manage', scope: groups },
        audit: method === 'PUT' ? 'group.add_member' : 'group.remove_member',
        summary:
          method === 'PUT' ? 'Put a principal or a group into a group' : 'Take a member out of a group',
        tag: 'groups',
        status: 204,
        request: { params: z.object({ group: shapes.reference, member: shapes.reference }) },
        problems: [problems.not_found, problems.cycle, problems.escalation, problems.self_grant],
        async handle(call) {
          const group = access.groups.get(param(call, 'group'));
          // A member that was deleted elsewhere can still be taken out, by its id.
          const wanted = param(call, 'member');
          const id =
            method === 'DELETE' && group.members.has(wanted) ? wanted : (await access.subject(wanted)).id;
          const facts = { group: group.name, member: id };
          noteAndRequire(call, 'group.manage', `/groups/${group.id}`, facts);
          if (method === 'PUT') await access.groups.addMember(call.caller, group.id, id);
          else await access.groups.removeMember(call.caller, group.id, id);
          return {};
        },
      }),
    ),
  ];
}

function roleRoutes(access: AccessControl): AccessRoutes {
  const views = createAccessViews(access);
  const params = z.object({ role: shapes.reference });
  const all = { path: '/api/v1/roles', tag: 'roles' };
  const one = { path: '/api/v1/roles/{role}', tag: 'roles', request: { params } };
  return [
    {
      ...all,
      method: 'GET',
      guard: { permission: 'role.read', scope: roles },
      audit: 'role.list',
      summary: 'List roles, built-in ones first',
      response: z.object({ roles: z.array(shapes.role) }),
      handle: () => ({ body: { roles: access.roles.list().map(views.role) } }),
    },
    {
      ...all,
      method: 'POST',
      guard: { permission: 'role.create', scope: roles },
      audit: 'role.create',
      summary: 'Make a role',
      status: 201,
      request: { body: shapes.roleDraft },
      response: shapes.role,
      problems: [problems.name_taken, problems.invalid, problems.escalation],
      async handle(call) {
        const role = await access.roles.create(call.caller, call.body as z.infer<typeof shapes.roleDraft>);
        call.note({ resource: `/roles/${role.id}`, detail: views.roleFacts(role) });
        return { body: views.role(role) };
      },
    },
    {
      ...one,
      method: 'GET',
      guard: { permission: 'role.read', scope: roles },
      audit: 'role.read',
      summary: 'Show a role',
      response: shapes.role,
      problems: [problems.not_found],
      handle(call) {
        const role = access.roles.get(param(call, 'role'));
        noteAndRequire(call, 'role.read', `/roles/${role.id}`, { name: role.name });
        return { body: views.role(role) };
      },
    },
    {
      ...one,
      method: 'PUT',
      guard: { permission: 'role.update', scope: roles },
      audit: 'role.update',
      summary: 'Replace a role; what it gives changes at once',
      request: { params, body: shapes.roleDraft },
      response: shapes.role,
      problems: [
        problems.not_found,
        problems.name_taken,
        problems.invalid,
        problems.role_builtin,
        problems.cycle,
        problems.escalation,
        problems.self_grant,
      ],
      async handle(call) {
        const { id, name } = access.roles.get(param(call, 'role'));
        noteAndRequire(call, 'role.update', `/roles/${id}`, { name });
        const role = await access.roles.update(
          call.caller,
          id,
          call.body as z.infer<typeof shapes.roleDraft>,
        );
        call.note({ detail: views.roleFacts(role) });
        return { body: views.role(role) };
      },
    },
    {
      ...one,
      method: 'DELETE',
      guard: { permission: 'role.delete', scope: roles },
      audit: 'role.delete',
      summary: 'Delete a role that nothing refers to',
      status: 204,
      problems: [problems.not_found, problems.role_builtin, problems.role_in_use],
      async handle(call) {
        const { id, name } = access.roles.get(param(call, 'role'));
        noteAndRequire(call, 'role.delete', `/roles/${id}`, { name });
        await access.roles.delete(id);
        return {};
      },
    },
  ];
}

function bindingRoutes(access: AccessControl): AccessRoutes {
  const views = createAccessViews(access);
  const all = { path: '/api/v1/bindings', tag: 'bindings' };
  return [
    {
      ...all,
      method: 'GET',
      guard: { permission: 'binding.read', scope: root },
      audit: 'binding.list',
      summary: 'List bindings',
      request: { query: shapes.bindingQuery },
      response: shapes.bindingPage,
      problems: [problems.not_found],
      async handle(call) {
        const { limit, after, role, scope, ...query } = call.query as z.infer<typeof shapes.bindingQuery>;
        const subject = query.subject === undefined ? undefined : (await access.subject(query.subject)).id;
        const all = access.bindings
          .list({ subject, role, scope })
          .filter(({ id }) => after === undefined || id > after);
        const page = all.slice(0, limit);
        const next = all.length > limit ? { next: page.at(-1)?.id } : {};
        return { body: { bindings: await Promise.all(page.map(views.binding)), ...next } };
      },
    },
    {
      ...all,
      method: 'POST',
      guard: { authenticated: byBody },
      audit: 'binding.create',
      summary: 'Bind a subject to a role on a scope',
      status: 201,
      request: { body: shapes.bindingDraft },
      response: shapes.binding,
      problems: [
        problems.denied,
        problems.escalation,
        problems.self_grant,
        problems.not_found,
        problems.invalid,
        problems.binding_exists,
      ],
      async handle(call) {
        const draft = call.body as z.infer<typeof shapes.bindingDraft>;
        if (!hasWildcard(draft.scope)) call.require('binding.create', draft.scope);
        const { id } = await access.subject(draft.subject);
        const binding = await access.bindings.create(call.caller, {
          ...draft,
          subject: id,
          notBefore: shapes.instant(draft.notBefore),
          expiresAt: shapes.instant(draft.expiresAt),
        });
        call.note({ resource: binding.scope, detail: views.bindingFacts(binding) });
        return { body: await views.binding(binding) };
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/bindings/{binding}',
      guard: { authenticated: byBody },
      audit: 'binding.delete',
      summary: 'Delete a binding; what it gave ends at once',
      tag: 'bindings',
      status: 204,
      request: { params: z.object({ binding: shapes.reference }) },
      problems: [
        problems.denied,
        problems.not_found,
        problems.last_admin,
        problems.escalation,
        problems.self_grant,
      ],
      async handle(call) {
        const id = param(call, 'binding');
        const scope = access.bindings.find(id)?.scope ?? '/';
        // Asked before saying that there is none: ids of bindings are not for everyone to probe.
        if (!hasWildcard(scope)) call.require('binding.delete', scope);
        const binding = await access.bindings.delete(call.caller, id);
        call.note({ resource: scope, detail: views.bindingFacts(binding) });
        return {};
      },
    },
  ];
}

function questionRoutes(access: AccessControl): AccessRoutes {
  const views = createAccessViews(access);
  const mayExplain = (caller: Caller): boolean => access.visible(caller, 'authz.explain', '/');
  return [
    {
      method: 'POST',
      path: '/api/v1/access/can-i',
      guard: { authenticated: 'everyone may ask about themselves' },
      kind: 'read',
      audit: 'authz.can_i',
      summary: 'Ask whether you may',
      tag: 'access',
      request: { body: shapes.question },
      response: shapes.answer,
      handle(call) {
        const { permission, scope } = call.body as z.infer<typeof shapes.question>;
        const { allow, code, revision } = access.canI(call.caller, permission, scope);
        return { body: { allowed: allow, code, reason: describeCode(code, permission, scope), revision } };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/access/explain',
      guard: { authenticated: 'everyone may ask about themselves' },
      kind: 'read',
      audit: 'authz.explain',
      summary: 'Ask why you, or someone else, may or may not',
      tag: 'access',
      request: { body: shapes.explainQuestion },
      response: shapes.explanation,
      problems: [problems.denied, problems.not_found],
      async handle(call) {
        const { permission, scope, subject: reference } = call.body as z.infer<typeof shapes.explainQuestion>;
        if (reference !== undefined) call.require('authz.explain', '/');
        const subject = reference === undefined ? undefined : await access.subject(reference);
        const explanation = access.explain(call.caller, { permission, scope, subject });
        // Who else holds rights here is told to those who may ask about others.
        const grantors =
          mayExplain(call.caller) && !explanation.decision.allow
            ? access.grantors({ permission, scope })
            : [];
        return { body: await views.explanation(explanation, { permission, scope, grantors }) };
      },
    },
    {
      method: 'GET',
      path: '/api/v1/access/who-can',
      guard: { permission: 'authz.search', scope: root },
      audit: 'authz.who_can',
      summary: 'List the principals that may',
      tag: 'access',
      request: { query: shapes.question },
      response: shapes.holders,
      async handle(call) {
        const { permission, scope } = call.query as z.infer<typeof shapes.question>;
        return { body: { principals: await views.holders(access.whoCan({ permission, scope })) } };
      },
    },
  ];
}

/** The entry tells of the resource that was found, refused or not. */
function noteAndRequire(
  call: Call,
  permission: Permission,
  resource: string,
  detail: NonNullable<AuditFacts['detail']>,
): void {
  call.note({ resource, detail });
  call.require(permission, resource);
}

function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}
