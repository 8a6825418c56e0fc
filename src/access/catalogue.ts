/**
 * Every permission there is, as `resource.action`. A permission marked sensitive is never matched by a wildcard in a
 * role or in an API key's scope: it must be named.
 */
const CATALOGUE = {
  project: ['read', 'list', 'create', 'update', 'delete'],
  model: ['read', 'list', 'create', 'update', 'delete', 'download!', 'invoke'],
  version: ['read', 'create', 'submit', 'approve!', 'promote!', 'rollback', 'deprecate', 'delete', 'sign', 'verify'],
  deployment: ['read', 'list', 'create', 'update', 'scale', 'shadow', 'delete', 'invoke', 'logs'],
  dataset: ['read', 'list', 'create', 'update', 'delete', 'download!'],
  experiment: ['read', 'list', 'create', 'update', 'delete'],
  secret: ['list', 'read-meta', 'create', 'update', 'delete', 'reveal!'],
  key: ['list', 'create', 'rotate', 'disable', 'use', 'export!', 'destroy!'],
  audit: ['read', 'search', 'export!', 'verify', 'configure!'],
  user: ['read', 'list', 'create', 'update', 'disable', 'delete!', 'impersonate!'],
  group: ['read', 'manage'],
  serviceaccount: ['read', 'create', 'update', 'delete'],
  apikey: ['list', 'create', 'revoke'],
  role: ['read', 'create', 'update', 'delete', 'escalate!', 'bind!'],
  binding: ['read', 'create', 'delete'],
  policy: ['export', 'plan', 'apply!', 'test'],
  authz: ['evaluate', 'search', 'explain'],
  provider: ['read', 'manage!'],
  session: ['list', 'revoke'],
  system: ['read', 'configure!', 'backup!', 'health', 'metrics'],
  breakglass: ['activate!', 'review!'],
} as const;

type Catalogue = typeof CATALOGUE;
type Plain<Action> = Action extends `${infer Name}!` ? Name : Action;

export type Permission = {
  [Resource in keyof Catalogue & string]: `${Resource}.${Plain<Catalogue[Resource][number]> & string}`;
}[keyof Catalogue & string];

const rows = Object.entries(CATALOGUE).flatMap(([resource, actions]) =>
  actions.map((action) => ({
    permission: `${resource}.${action.replace('!', '')}` as Permission,
    sensitive: action.endsWith('!'),
  })),
);

/** In the order of the catalogue; a permission's index here is its bit. */
export const PERMISSIONS: readonly Permission[] = rows.map((row) => row.permission);

const sensitive: ReadonlySet<string> = new Set(rows.filter((row) => row.sensitive).map((row) => row.permission));
const known: ReadonlySet<string> = new Set(PERMISSIONS);

export function isPermission(text: string): text is Permission {
  return known.has(text);
}

export function isSensitive(permission: Permission): boolean {
  return sensitive.has(permission);
}
