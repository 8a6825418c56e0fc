import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  difference,
  includes,
  isEmpty,
  isSensitive,
  PERMISSION_WORDS,
  PERMISSIONS,
  permissionNumber,
  permissionSet,
  permissionsIn,
  permissionsMatching,
  union,
} from './catalogue.ts';

const matching = (pattern: string): readonly string[] | undefined => {
  const set = permissionsMatching(pattern);
  return set === undefined ? undefined : permissionsIn(set);
};

test('every permission has a bit of its own', () => {
  assert.equal(new Set(PERMISSIONS).size, PERMISSIONS.length);
  assert.ok(PERMISSION_WORDS * 32 >= PERMISSIONS.length);
  for (const [number, permission] of PERMISSIONS.entries()) {
    assert.equal(permissionNumber(permission), number);
    assert.deepEqual(permissionsIn(permissionSet([permission])), [permission]);
    assert.deepEqual(matching(permission), [permission]);
  }
});

test('no wildcard matches a sensitive permission', () => {
  const sensitive = PERMISSIONS.filter(isSensitive);
  assert.deepEqual(sensitive, [
    'model.download',
    'version.approve',
    'version.promote',
    'dataset.download',
    'secret.reveal',
    'key.export',
    'key.destroy',
    'audit.export',
    'audit.configure',
    'user.delete',
    'user.impersonate',
    'role.escalate',
    'role.bind',
    'policy.apply',
    'provider.manage',
    'system.configure',
    'system.backup',
    'breakglass.activate',
    'breakglass.review',
  ]);
  for (const permission of sensitive) {
    const [resource, action] = permission.split('.');
    for (const pattern of ['*', `${resource}.*`, `*.${action}`]) {
      assert.equal(
        matching(pattern)?.includes(permission) ?? false,
        false,
        `${pattern} matches ${permission}`,
      );
    }
  }
  assert.equal(matching('*')?.length, PERMISSIONS.length - sensitive.length);
});

test('a pattern of one resource or one action matches those alone', () => {
  assert.deepEqual(matching('project.*'), [
    'project.read',
    'project.list',
    'project.create',
    'project.update',
    'project.delete',
  ]);
  assert.ok(matching('*.read')?.every((permission) => permission.endsWith('.read')));
});

test('a pattern that matches nothing is no pattern', () => {
  const bad = [
    '',
    'model',
    'model.',
    '.read',
    '*.*',
    'mod*',
    'model.inv*',
    '**',
    'nothing.*',
    '*.nothing',
    'breakglass.*',
    'MODEL.READ',
    '__proto__',
    'constructor.*',
  ];
  for (const pattern of bad) assert.equal(matching(pattern), undefined, pattern);
});

test('sets of permissions have union and difference', () => {
  const one = permissionSet(['model.read', 'breakglass.review']);
  const other = permissionSet(['model.read', 'project.read']);
  assert.deepEqual(permissionsIn(union([one, other])), ['project.read', 'model.read', 'breakglass.review']);
  assert.deepEqual(permissionsIn(difference(one, other)), ['breakglass.review']);
  assert.ok(isEmpty(difference(one, one)) && isEmpty(union([])));
  assert.ok(includes(one, permissionNumber('breakglass.review') ?? -1));
});
