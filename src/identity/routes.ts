import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import type { Call, Reply, Route } from '../http/route.ts';
import type { Caller } from '../kernel/principal.ts';
import { Secret } from '../kernel/secret.ts';
import { createPrincipalRoutes, SERVICE_ACCOUNTS, shown, USERS } from './principal-routes.ts';
import { identityProblems } from './problems.ts';
import type { Account, ApiKey, Subject } from './record.ts';
import {
  keyQuery,
  newApiKey,
  newPassword,
  newServiceAccount,
  newUser,
  requestOf,
  setup,
} from './requests.ts';
import type { Identity } from './service.ts';
import { account, apiKey, keyViewOf, viewOf, whoami } from './views.ts';

/** Claims that the caller may hold what `subjectId` holds: a credential made for another is a way to become it. */
export type MayActAs = (caller: Caller, subjectId: string) => boolean;

/** Everything about principals and their credentials, as routes. */
export function createIdentityRoutes(identity: Identity, mayActAs: MayActAs): readonly Route<Permission>[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/whoami',
      guard: { authenticated: 'tells a caller about itself alone' },
      audit: 'whoami.read',
      summary: 'Who the credential belongs to, and its limits',
      tag: 'identity',
      response: whoami,
      handle: ({ caller }) => ({ body: { principal: caller.principal, credential: caller.credential } }),
    },
    {
      method: 'POST',
      path: '/api/v1/setup',
      guard: { public: 'makes the first user; guarded by a one-time token of 256 bits that the host shows' },
      audit: 'setup.complete',
      summary: 'Create the first administrator with the one-time setup token',
      tag: 'identity',
      request: { body: setup },
      response: z.object({ user: account }),
      status: 201,
      problems: [
        identityProblems.setup_refused,
        identityProblems.password_refused,
        identityProblems.name_invalid,
        identityProblems.busy,
      ],
      async handle(call) {
        const { token, name, password } = call.body as z.infer<typeof setup>;
        const user = await identity.completeSetup(new Secret(token), name, new Secret(password));
        call.note({ resource: `${USERS}/${user.id}`, detail: { name } });
        return { status: 201, body: { user: viewOf(user) } };
      },
    },
    ...userRoutes(identity, mayActAs),
    ...serviceAccountRoutes(identity),
    ...apiKeyRoutes(identity, mayActAs),
  ];
}

function userRoutes({ users }: Identity, mayActAs: MayActAs): readonly Route<Permission>[] {
  const tag = 'users';
  return [
    ...createPrincipalRoutes({
      principals: users,
      scope: USERS,
      noun: 'user',
      member: 'users',
      parameter: 'user',
      action: 'user',
      permissions: { list: 'user.list', read: 'user.read', update: 'user.update', delete: 'user.delete' },
      stateNeeds: 'user.disable',
    }),
    {
      method: 'POST',
      path: '/api/v1/users',
      guard: { permission: 'user.create', scope: () => USERS },
      audit: 'user.create',
      summary: 'Create a user',
      tag,
      request: { body: newUser },
      response: account,
      status: 201,
      problems: [
        identityProblems.name_taken,
        identityProblems.name_invalid,
        identityProblems.password_refused,
        identityProblems.busy,
      ],
      async handle(call) {
        const { name, display, password } = call.body as z.infer<typeof newUser>;
        const user = await users.create({
          name,
          ...(display === undefined ? {} : { display }),
          ...(password === undefined ? {} : { password: new Secret(password) }),
        });
        return created(call, USERS, user);
      },
    },
    {
      method: 'PUT',
      path: '/api/v1/users/{user}/password',
      guard: {
        authenticated:
          "one's own password, proved by the old one; that of others needs user.update and user.impersonate",
      },
      audit: 'user.set-password',
      summary: "Set a password: one's own, or with user.update and user.impersonate anybody's",
      tag,
      request: { body: newPassword },
      response: account,
      problems: [
        identityProblems.not_found,
        identityProblems.password_refused,
        identityProblems.limited_credential,
        identityProblems.busy,
      ],
      async handle(call) {
        const reference = param(call, 'user');
        permitPassword(call, users.find(reference)?.id, mayActAs);
        const { password } = call.body as z.infer<typeof newPassword>;
        return shown(call, USERS, await users.setPassword(reference, new Secret(password)));
      },
    },
  ];
}

function serviceAccountRoutes({ serviceAccounts }: Identity): readonly Route<Permission>[] {
  return [
    ...createPrincipalRoutes({
      principals: serviceAccounts,
      scope: SERVICE_ACCOUNTS,
      noun: 'service account',
      member: 'serviceAccounts',
      parameter: 'account',
      action: 'serviceaccount',
      permissions: {
        list: 'serviceaccount.read',
        read: 'serviceaccount.read',
        update: 'serviceaccount.update',
        delete: 'serviceaccount.delete',
      },
    }),
    {
      method: 'POST',
      path: '/api/v1/service-accounts',
      guard: { permission: 'serviceaccount.create', scope: () => SERVICE_ACCOUNTS },
      audit: 'serviceaccount.create',
      summary: 'Create a service account',
      tag: 'service accounts',
      request: { body: newServiceAccount },
      response: account,
      status: 201,
      problems: [identityProblems.name_taken, identityProblems.name_invalid],
      async handle(call) {
        const { name, display } = call.body as z.infer<typeof newServiceAccount>;
        const request = display === undefined ? { name } : { name, display };
        return created(call, SERVICE_ACCOUNTS, await serviceAccounts.create(request));
      },
    },
  ];
}

function apiKeyRoutes(identity: Identity, mayActAs: MayActAs): readonly Route<Permission>[] {
  const { apiKeys } = identity;
  const tag = 'api keys';
  const viewOfKey = (key: ApiKey) => keyViewOf(key, identity.resolveSubject(key.ownerId));
  return [
    {
      method: 'GET',
      path: '/api/v1/api-keys',
      guard: { authenticated: "one's own keys (owner=me); all, or those of others, need apikey.list" },
      audit: 'apikey.list',
      summary: 'List API keys: all, those of one owner, or with owner=me the caller’s own',
      tag,
      request: { query: keyQuery },
      response: z.object({ keys: z.array(apiKey) }),
      problems: [identityProblems.not_found, identityProblems.limited_credential],
      handle(call) {
        const owner = ownerOf(call, (call.query as z.infer<typeof keyQuery>).owner);
        if (!isOwn(call.caller, owner)) call.require('apikey.list', '/');
        return { body: { keys: apiKeys.list(idOfOwner(owner)).map(viewOfKey) } };
      },
    },
    {
      method: 'POST',
      path: '/api/v1/api-keys',
      guard: { authenticated: 'keys for oneself; for others apikey.create, and the right to act as them' },
      audit: 'apikey.create',
      summary: 'Create an API key; its text is in this answer and never shown again',
      tag,
      request: { body: newApiKey },
      response: apiKey.extend({ key: z.string() }),
      status: 201,
      problems: [
        identityProblems.not_found,
        identityProblems.disabled,
        identityProblems.key_refused,
        identityProblems.limited_credential,
      ],
      async handle(call) {
        const body = call.body as z.infer<typeof newApiKey>;
        const owner = ownerOf(call, body.owner);
        permitNewKey(call, owner, mayActAs);
        const { key, text } = await apiKeys.create(
          requestOf(body, idOfOwner(owner) ?? body.owner),
          call.caller.principal.id,
        );
        call.note({ detail: { key: key.id, owner: key.ownerId } });
        return { status: 201, body: { ...viewOfKey(key), key: text.reveal() } };
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/api-keys/{key}',
      guard: { authenticated: "one's own keys, and the key that calls; those of others need apikey.revoke" },
      audit: 'apikey.revoke',
      summary: 'Revoke an API key at once and for good',
      tag,
      response: apiKey,
      problems: [identityProblems.not_found],
      async handle(call) {
        const { caller } = call;
        const key = apiKeys.find(param(call, 'key'));
        const isItself = key !== undefined && key.id === caller.credential.id;
        const isOwned = key?.ownerId === caller.principal.id && caller.credential.scopes === undefined;
        if (!isItself && !isOwned) call.require('apikey.revoke', '/');
        const revoked = await apiKeys.revoke(param(call, 'key'));
        call.note({ detail: { key: revoked.id, owner: revoked.ownerId } });
        return { body: viewOfKey(revoked) };
      },
    },
  ];

  /** undefined: nobody was named. `missing`: a name that is nobody's; told only to who may see all keys. */
  function ownerOf(call: Call, reference: string | undefined): Subject | 'missing' | undefined {
    if (reference === undefined) return undefined;
    return identity.resolveSubject(reference === 'me' ? call.caller.principal.id : reference) ?? 'missing';
  }

  function idOfOwner(owner: Subject | 'missing' | undefined): string | undefined {
    if (owner === 'missing') throw identityProblems.not_found('there is no such principal');
    return owner?.id;
  }
}

/** Claims that `owner` calls itself. Throws for a key with scopes: with a new key it would shed its own limits. */
function isOwn({ principal, credential }: Caller, owner: Subject | 'missing' | undefined): boolean {
  if (owner === undefined || owner === 'missing' || owner.id !== principal.id) return false;
  if (credential.scopes === undefined) return true;
  throw identityProblems.limited_credential(
    'an API key that is limited to scopes cannot list or make API keys',
  );
}

/**
 * Whoever makes a key for another principal can act as it, so apikey.create is not enough: for a service account the
 * caller must also hold serviceaccount.update, for a user user.impersonate, which no built-in role has.
 */
function permitNewKey(call: Call, owner: Subject | 'missing' | undefined, mayActAs: MayActAs): void {
  if (isOwn(call.caller, owner)) return;
  call.require('apikey.create', '/');
  if (owner === undefined || owner === 'missing') return;
  if (owner.kind === 'service_account')
    call.require('serviceaccount.update', `${SERVICE_ACCOUNTS}/${owner.id}`);
  else call.require('user.impersonate', `${USERS}/${owner.id}`);
  refuseTakeover(call, owner.id, mayActAs);
}

/** A new password for another user is a way to act as it, like a key. An API key, perhaps stolen, changes no password. */
function permitPassword(call: Call, userId: string | undefined, mayActAs: MayActAs): void {
  const { principal, credential } = call.caller;
  if (userId === principal.id) {
    if (credential.kind === 'password') return;
    throw identityProblems.limited_credential('prove yourself with your password to change it');
  }
  call.require('user.update', USERS);
  call.require('user.impersonate', userId === undefined ? USERS : `${USERS}/${userId}`);
  if (userId !== undefined) refuseTakeover(call, userId, mayActAs);
}

function refuseTakeover(call: Call, subjectId: string, mayActAs: MayActAs): void {
  if (mayActAs(call.caller, subjectId)) return;
  throw identityProblems.takeover('the principal holds rights that you do not hold');
}

function created(call: Call, collection: string, account: Account): Reply {
  return { ...shown(call, collection, account), status: 201 };
}

function param(call: Call, name: string): string {
  return call.params[name] ?? '';
}
