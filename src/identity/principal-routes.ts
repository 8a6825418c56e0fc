import { z } from 'zod';
import type { Permission } from '../access/catalogue.ts';
import type { Call, Reply, Route } from '../http/route.ts';
import type { Principals } from './principals.ts';
import { identityProblems } from './problems.ts';
import type { Account } from './record.ts';
import { change } from './requests.ts';
import { account, viewOf } from './views.ts';

export const USERS = '/users';
export const SERVICE_ACCOUNTS = '/service-accounts';

/** One kind of principal as the API has it. */
interface Collection {
  readonly principals: Principals;
  /** Node of the resource tree, and below `/api/v1` the path. */
  readonly scope: typeof USERS | typeof SERVICE_ACCOUNTS;
  readonly noun: string;
  /** Member of the answer that lists. */
  readonly member: string;
  /** Parameter of the path: a name or an id. */
  readonly parameter: string;
  /** First word of the names of entries. */
  readonly action: string;
  readonly permissions: Readonly<Record<'list' | 'read' | 'update' | 'delete', Permission>>;
  /** What a change of the state needs beyond `update`. */
  readonly stateNeeds?: Permission;
}

/** List, show, change and delete, the same for users and service accounts. */
export function createPrincipalRoutes(collection: Collection): readonly Route<Permission>[] {
  const { principals, scope: node, noun, member, parameter, action, permissions, stateNeeds } = collection;
  const scope = () => node;
  const tag = `${noun}s`;
  const all = { path: `/api/v1${node}`, tag };
  const one = {
    path: `/api/v1${node}/{${parameter}}`,
    tag,
    response: account,
    problems: [identityProblems.not_found],
  };
  const reference = ({ params }: Call): string => params[parameter] ?? '';
  return [
    {
      ...all,
      method: 'GET',
      guard: { permission: permissions.list, scope },
      audit: `${action}.list`,
      summary: `List ${noun}s`,
      response: z.object({ [member]: z.array(account) }),
      handle: () => ({ body: { [member]: principals.list().map(viewOf) } }),
    },
    {
      ...one,
      method: 'GET',
      guard: { permission: permissions.read, scope },
      audit: `${action}.read`,
      summary: `Show a ${noun}, by name or id`,
      handle: (call) => shown(call, node, principals.get(reference(call))),
    },
    {
      ...one,
      method: 'PATCH',
      guard: { permission: permissions.update, scope },
      audit: `${action}.update`,
      summary: `Rename for people, disable or enable a ${noun}; disabling ${stateNeeds ? `needs ${stateNeeds} and ` : ''}ends all keys`,
      request: { body: change },
      async handle(call) {
        const { display, state } = call.body as z.infer<typeof change>;
        if (state !== undefined && stateNeeds !== undefined) call.require(stateNeeds, node);
        const changed = await principals.update(reference(call), {
          ...(display === undefined ? {} : { display }),
          ...(state === undefined ? {} : { state }),
        });
        return shown(call, node, changed);
      },
    },
    {
      ...one,
      method: 'DELETE',
      guard: { permission: permissions.delete, scope },
      audit: `${action}.delete`,
      summary: `Delete a ${noun}, its keys, bindings and memberships`,
      handle: async (call) => shown(call, node, await principals.remove(reference(call))),
    },
  ];
}

/** An account as an answer, noted for the entry. */
export function shown(call: Call, collection: string, principal: Account): Reply {
  call.note({ resource: `${collection}/${principal.id}`, detail: { name: principal.name } });
  return { body: viewOf(principal) };
}
