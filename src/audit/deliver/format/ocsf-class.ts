import type { Entry } from '../../entry.ts';
import { isFailedAuthentication, isFinding } from './event.ts';

/** An OCSF event class and the activity within it; https://schema.ocsf.io/1.8.0. */
export interface OcsfClass {
  readonly uid: 2004 | 3001 | 3002 | 3004 | 3005 | 3006 | 6003;
  readonly name: string;
  readonly activityId: number;
  readonly activity: string;
}

const NAMES: Readonly<Record<OcsfClass['uid'], string>> = {
  2004: 'Detection Finding',
  3001: 'Account Change',
  3002: 'Authentication',
  3004: 'Entity Management',
  3005: 'User Access Management',
  3006: 'Group Management',
  6003: 'API Activity',
};

type Row = readonly [uid: OcsfClass['uid'], activityId: number, activity: string];

/** Actions with a class of their own. Everything else is API Activity. Held against docs/reference/event-mapping.md. */
export const OCSF_ACTIONS: Readonly<Record<string, Row>> = {
  'detection.alert': [2004, 1, 'Create'],
  'user.create': [3001, 1, 'Create'],
  'user.update': [3001, 99, 'Update'],
  'user.delete': [3001, 6, 'Delete'],
  'serviceaccount.create': [3001, 1, 'Create'],
  'serviceaccount.update': [3001, 99, 'Update'],
  'serviceaccount.delete': [3001, 6, 'Delete'],
  'setup.complete': [3001, 1, 'Create'],
  'session.create': [3002, 1, 'Logon'],
  'session.revoke': [3002, 2, 'Logoff'],
  'apikey.create': [3004, 1, 'Create'],
  'apikey.revoke': [3004, 4, 'Delete'],
  'role.create': [3004, 1, 'Create'],
  'role.update': [3004, 3, 'Update'],
  'role.delete': [3004, 4, 'Delete'],
  'binding.create': [3005, 1, 'Assign Privileges'],
  'binding.delete': [3005, 2, 'Revoke Privileges'],
  'group.create': [3006, 6, 'Create'],
  'group.delete': [3006, 5, 'Delete'],
  'group.add_member': [3006, 3, 'Add User'],
  'group.remove_member': [3006, 4, 'Remove User'],
};

const VERBS: readonly (readonly [verbs: RegExp, activityId: number, activity: string])[] = [
  [/^(?:create|add|import|upload)$/, 1, 'Create'],
  [/^(?:read|list|search|show|download|export|verify|explain|can_i|who_can|checkpoint|vkey)$/, 2, 'Read'],
  [/^(?:update|set|rotate|rewrap|enable|disable|schedule|promote|rollback|deprecate)$/, 3, 'Update'],
  [/^(?:delete|remove|destroy|revoke)$/, 4, 'Delete'],
];

/** An attempt without a valid credential is an authentication that failed, whatever it asked for. */
export function ocsfClass(entry: Entry): OcsfClass {
  if (isFailedAuthentication(entry) && !isFinding(entry)) return row([3002, 1, 'Logon']);
  const own = Object.hasOwn(OCSF_ACTIONS, entry.action) ? OCSF_ACTIONS[entry.action] : undefined;
  if (own !== undefined) return row(own);
  const verb = entry.action.slice(entry.action.indexOf('.') + 1);
  const known = VERBS.find(([verbs]) => verbs.test(verb));
  if (known !== undefined) return row([6003, known[1], known[2]]);
  return row([6003, 99, verb.charAt(0).toUpperCase() + verb.slice(1)]);
}

function row([uid, activityId, activity]: Row): OcsfClass {
  return { uid, name: NAMES[uid], activityId, activity };
}
