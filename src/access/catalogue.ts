/**
 * Every permission there is, as `resource.action`. A permission marked sensitive is never matched by a wildcard in a
 * role or in an API key's scope: it must be named.
 */
const CATALOGUE = {
  project: ['read', 'list', 'create', 'update', 'delete'],
  model: ['read', 'list', 'create', 'update', 'delete', 'download!', 'invoke'],
  version: [
    'read',
    'create',
    'submit',
    'approve!',
    'promote!',
    'rollback',
    'deprecate',
    'delete',
    'sign',
    'verify',
  ],
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
  [Resource in keyof Catalogue]: `${Resource}.${Plain<Catalogue[Resource][number]> & string}`;
}[keyof Catalogue];

const rows = Object.entries(CATALOGUE).flatMap(([resource, actions]) =>
  actions.map((action) => ({
    permission: `${resource}.${action.replace('!', '')}` as Permission,
    sensitive: action.endsWith('!'),
  })),
);

/** In the order of the catalogue; a permission's index here is its bit. */
export const PERMISSIONS: readonly Permission[] = rows.map((row) => row.permission);

const sensitive: ReadonlySet<string> = new Set(
  rows.filter((row) => row.sensitive).map((row) => row.permission),
);
const known: ReadonlySet<string> = new Set(PERMISSIONS);

export function isPermission(text: string): text is Permission {
  return known.has(text);
}

export function isSensitive(permission: Permission): boolean {
  return sensitive.has(permission);
}

/** How many 32-bit words hold one bit for each permission. */
export const PERMISSION_WORDS = Math.ceil(PERMISSIONS.length / 32);

/** A set of permissions as bits: permission `n` is bit `n % 32` of word `n / 32`. Never written after it is made. */
export type PermissionSet = Int32Array;

const numbers: ReadonlyMap<string, number> = new Map(
  PERMISSIONS.map((permission, number) => [permission, number]),
);

/** The bit of a permission, or undefined for a text that names none. */
export function permissionNumber(text: string): number | undefined {
  return numbers.get(text);
}

export function permissionSet(permissions: Iterable<Permission>): PermissionSet {
  const set = new Int32Array(PERMISSION_WORDS);
  for (const permission of permissions) addNumber(set, numbers.get(permission) as number);
  return set;
}

export function includes(set: PermissionSet, number: number): boolean {
  return ((set[number >>> 5] ?? 0) & (1 << (number & 31))) !== 0;
}

export function union(sets: Iterable<PermissionSet>): PermissionSet {
  const all = new Int32Array(PERMISSION_WORDS);
  for (const set of sets) for (let word = 0; word < PERMISSION_WORDS; word++) all[word]! |= set[word] ?? 0;
  return all;
}

/** What is in `set` and not in `other`. */
export function difference(set: PermissionSet, other: PermissionSet): PermissionSet {
  return set.map((word, at) => word & ~(other[at] ?? 0));
}

export function isEmpty(set: PermissionSet): boolean {
  return set.every((word) => word === 0);
}

/** In the order of the catalogue. */
export function permissionsIn(set: PermissionSet): readonly Permission[] {
  return PERMISSIONS.filter((_, number) => includes(set, number));
}

/**
 * The permissions that a pattern means: one permission, `*`, `resource.*` or `*.action`. Wildcards leave the sensitive
 * ones out. Undefined for a text that matches nothing: a typing error must not become an empty right unnoticed.
 */
export function permissionsMatching(pattern: string): PermissionSet | undefined {
  return patterns.get(pattern);
}

const patterns: ReadonlyMap<string, PermissionSet> = compilePatterns();

/** There are few patterns (some 160), so each is compiled once and a key's scopes cost a lookup per decision. */
function compilePatterns(): Map<string, PermissionSet> {
  const table = new Map<string, Int32Array>();
  for (const [number, permission] of PERMISSIONS.entries()) {
    const [resource, action] = permission.split('.');
    const wild = isSensitive(permission) ? [] : ['*', `${resource}.*`, `*.${action}`];
    for (const pattern of [permission, ...wild]) {
      const set = table.get(pattern) ?? new Int32Array(PERMISSION_WORDS);
      addNumber(set, number);
      table.set(pattern, set);
    }
  }
  return table;
}

function addNumber(set: Int32Array, number: number): void {
  set[number >>> 5]! |= 1 << (number & 31);
}
